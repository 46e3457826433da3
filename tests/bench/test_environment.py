"""The environment card: complete, in words, and only warning of what is there."""

from __future__ import annotations

import json

import pytest

from bench.environment import card, environment, warnings

QUIET = {
    "cores_usable": [0, 1, 2, 3],
    "core_quota": None,
    "smt_siblings": [],
    "load_average": [0.1, 0.1, 0.1],
    "virtual_machine": False,
    "governor": "performance",
    "turbo": False,
    "clock_source": "tsc",
    "huge_pages": "madvise",
    "shared_memory_free_bytes": 1 << 33,
    "git_revision": "0123456789ab",
}


@pytest.fixture(scope="module")
def here():
    return environment()


def test_the_facts_are_there_and_fit_json(here):
    assert QUIET.keys() <= here.keys()
    assert {"cpu_model", "kernel", "python", "numba", "llvmlite", "numpy", "l2_bytes", "l3_bytes", "shared_memory_bytes", "pinned"} <= here.keys()
    assert json.loads(json.dumps(here)) == here
    assert here["cores_usable"]
    assert here["shared_memory_bytes"] >= here["shared_memory_free_bytes"]


def test_the_card_is_a_few_aligned_lines(here):
    lines = card(here).splitlines()
    assert len(lines) == 7
    assert {line[9:11] for line in lines} == {"  "}
    assert all(line[11] != " " for line in lines)
    assert here["numba"] in card(here)


def test_the_card_admits_what_is_unknown(here):
    unknown = here | dict.fromkeys(("governor", "turbo", "clock_source", "huge_pages", "l3_bytes", "git_revision", "virtual_machine"))
    assert "None" not in card(unknown)
    assert isinstance(warnings(unknown), list)


def test_a_quiet_machine_has_no_warnings():
    assert warnings(QUIET) == []


@pytest.mark.parametrize(
    ("fact", "value", "word"),
    [
        ("cores_usable", [0], "1 core usable"),
        ("cores_usable", [0, 1], "2 cores usable"),
        ("core_quota", 1.5, "cpu.max"),
        ("smt_siblings", [[0, 1]], "pin"),
        ("load_average", [0.9, 0, 0], "load average is 0.9"),
        ("virtual_machine", True, "virtual machine"),
        ("governor", "powersave", "powersave"),
        ("governor", None, "governor unknown"),
        ("turbo", True, "turbo"),
        ("clock_source", "hpet", "hpet"),
        ("huge_pages", "always", "madvise"),
        ("shared_memory_free_bytes", 1 << 26, "0.1 GiB"),
        ("git_revision", "0123456789ab, changed", "uncommitted"),
    ],
)
def test_each_weakness_is_told_once(fact, value, word):
    [verdict] = warnings(QUIET | {fact: value})
    assert word in verdict
