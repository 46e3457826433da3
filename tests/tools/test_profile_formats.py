"""From what samplers write to what people read, on a few lines written by hand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from bench.stages import STAMPS
from shm_exchange.runtime.perf_map import FROM_C, FROM_PYTHON
from tools.profile import formats, stages
from tools.profile.flamegraph import boxes, flamegraph
from tools.profile.kernels import Function, Kernels, functions_in, kernels_of, map_file
from tools.profile.sampling import Profile
from tools.profile.stacks import COMPILED, IN_PYTHON, NATIVE, PYTHON, SYSTEM, Frame, from_perf, from_py_spy, own_work

LOOP, STEP, APPLY = "matcher.loop.run_slice", "matcher.step.process", "engine.apply.apply"
KERNELS = Kernels(
    [Function(0x1000, 0x100, LOOP), Function(0x1100, 0x80, LOOP + FROM_PYTHON), Function(0x2000, 0x100, STEP), Function(0x3000, 0x100, APPLY)],
    {APPLY: STEP, STEP: LOOP, LOOP: LOOP + FROM_PYTHON},
)
PERF = """
 4711   1.000000:
\t            3010 apply-as-perf-has-it (/tmp/perf-4711.map)

 4711   1.001000:
\tffffffff81000000 __schedule ([kernel.kallsyms])
\tffffffff81000010 __x64_sys_futex ([kernel.kallsyms])
\t        7f000010 syscall (/usr/lib/libc.so.6)
\t            2010 [unknown] (/tmp/perf-4711.map)

 4711   1.002000:
\t        7f000020 PyObject_GetAttr@@V1 (/usr/bin/python3.11)
\t        7f000030 _PyEval_EvalFrameDefault (/usr/bin/python3.11)
\t        7f000040 _start (/usr/bin/python3.11)

 4711   1.003000:
\t            9999 [unknown] ([unknown])
"""
CHAIN = (IN_PYTHON, Frame(LOOP, COMPILED), Frame(STEP, COMPILED))


def test_stacks_of_perf_name_kernels_and_their_callers() -> None:
    found = [weighed.stack for weighed in from_perf(PERF, KERNELS)]
    assert found == [
        (*CHAIN, Frame(APPLY, COMPILED)),
        (*CHAIN, Frame("syscall", NATIVE), Frame("__x64_sys_futex", SYSTEM), Frame("__schedule", SYSTEM)),
        (IN_PYTHON, Frame("PyObject_GetAttr", NATIVE)),
        (Frame("[unknown]", NATIVE),),
    ]
    assert [own_work(stack).name for stack in found] == [APPLY, "system call futex", "PyObject_GetAttr", "[unknown]"]


def test_stacks_of_py_spy_keep_the_frames_of_python() -> None:
    text = (
        "0x77 (libc.so.6);_run_code (<frozen runpy>:88);run (shm_exchange/matcher/process.py:139);0x1004 (?);0x3010 (?) 7\n"
        "f (a.py);syscall (libc.so.6) 2\n"
    )
    python = Frame("run (matcher/process.py)", PYTHON)
    assert [tuple(weighed) for weighed in from_py_spy(text, KERNELS)] == [
        ((python, Frame(LOOP, COMPILED), Frame(APPLY, COMPILED)), 7),
        ((Frame("f (a.py)", PYTHON), Frame("syscall", NATIVE)), 2),
    ]
    (found,) = from_py_spy("run (a.py);0x3010 (?) 1\n", KERNELS)
    assert found.stack == (Frame("run (a.py)", PYTHON), *CHAIN[1:], Frame(APPLY, COMPILED))


def test_addresses_beside_kernels_have_no_name() -> None:
    assert [KERNELS.name(address) for address in (0xFFF, 0x1000, 0x10FF, 0x1180, 0x3100)] == ["", LOOP, LOOP, "", ""]
    assert Kernels([]).name(0x1000) == ""


def test_callers_stop_at_a_kernel_that_several_call() -> None:
    assert KERNELS.callers(APPLY) == [LOOP + FROM_PYTHON, LOOP, STEP]
    assert Kernels([], {"b": "a", "a": "b"}).callers("b") == ["a"], "recursion ends"


def test_a_process_without_a_map_has_no_kernels(tmp_path: Path) -> None:
    assert map_file(os.getpid()) is None
    assert kernels_of(os.getpid()).functions == []
    assert functions_in(tmp_path / "perf-1.map") == []
    (tmp_path / "perf-2.map").write_text(f"10 a {LOOP}\n20 b {LOOP}{FROM_C}\n")
    assert functions_in(tmp_path / "perf-2.map") == [Function(0x10, 0xA, LOOP), Function(0x20, 0xB, LOOP + FROM_C)]


@pytest.fixture
def profile() -> Profile:
    return Profile(4711, "perf, cpu-clock", 1000, 1.0, from_perf(PERF, KERNELS) * 10, named=True)


def test_the_table_adds_up(profile: Profile) -> None:
    rows = {row.name: row for row in formats.table(profile)}
    assert sum(row.own for row in rows.values()) == pytest.approx(1)
    assert rows[APPLY].own == rows[APPLY].total == 0.25
    assert "matcher.step.process" not in rows, "it was never at work itself"


def test_collapsed_stacks_are_lines_that_end_in_a_count(profile: Profile) -> None:
    lines = formats.collapsed(profile).splitlines()
    assert f"Python;{LOOP};{STEP};{APPLY} 10" in lines
    assert sum(int(line.rpartition(" ")[2]) for line in lines) == profile.samples == 40


def test_speedscope_can_open_it(profile: Profile) -> None:
    check_speedscope(json.loads(formats.speedscope(profile, "a & b")), profile.samples / profile.rate)


def check_speedscope(document: dict[str, Any], seconds: float) -> list[str]:
    """What the schema of speedscope asks of a sampled profile; returns the names of its frames."""
    assert document["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = [frame["name"] for frame in document["shared"]["frames"]]
    (one,) = document["profiles"]
    assert document["activeProfileIndex"] == 0
    assert (one["type"], one["unit"], one["startValue"]) == ("sampled", "seconds", 0)
    assert one["endValue"] == pytest.approx(seconds)
    assert one["endValue"] == pytest.approx(sum(one["weights"]))
    assert len(one["samples"]) == len(one["weights"])
    assert {place for stack in one["samples"] for place in stack} == set(range(len(frames)))
    return frames


def test_boxes_lie_on_their_callers(profile: Profile) -> None:
    laid = boxes(formats.merged(profile))
    assert (laid[0].samples, laid[0].depth, laid[0].left) == (40, 0, 0)
    for box in laid[1:]:
        below = [other for other in laid if other.depth == box.depth - 1 and other.left <= box.left < other.left + other.samples]
        assert len(below) == 1
        assert box.left + box.samples <= below[0].left + below[0].samples
    assert sum(box.own for box in laid) == 40


def test_a_flame_graph_is_xml_and_tells_on_hover(profile: Profile) -> None:
    svg = ET.fromstring(flamegraph(formats.merged(profile), "a <matcher> & more", "how"))  # noqa: S314 (we wrote it)
    titles = [title.text or "" for title in svg.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[0] == "a <matcher> & more"
    assert f"{APPLY} (compiled by numba): 25.0% of 40 samples, 25.0% itself" in titles
    assert not [node for node in svg.iter() if node.tag.endswith(("script", "image", "link"))], "self-contained"


def test_stages_of_slow_orders_become_a_timeline() -> None:
    stamps = np.array([(71, 1_000, 5_000, 5_500, 5_750, 9_001), (70, 400, 500, 600, 700, 800)], STAMPS)
    events = stages.trace(stamps)["traceEvents"]
    boxes_of = {track: [event for event in events if event["ph"] == "X" and event["tid"] == track] for track in (1, 2)}
    whole, *parts = boxes_of[1]
    assert (whole["ts"], whole["dur"]) == (0.6, 8.001), "microseconds from the first planned moment"
    assert [part["name"] for part in parts] == ["planned → enqueued", "enqueued → dequeued", "dequeued → matched", "matched → visible"]
    assert sum(part["args"]["ns"] for part in parts) == 8_001
    assert [(one["ts"] + one["dur"]) for one in parts[:-1]] == pytest.approx([one["ts"] for one in parts[1:]]), "no gap, no overlap"
    assert boxes_of[2][0]["ts"] == 0
    assert [event["args"]["name"] for event in events if event["name"] == "thread_name"] == ["1. order 71", "2. order 70"]
    assert stages.trace(stamps[:0])["traceEvents"], "nothing slow is a trace too"
