"""The public referee through both boundaries of the real thing: its published digests, and those of a naive matcher for short flows."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bench import referee
from bench.canonical import OURS, PUBLISHED, PUBLISHED_COUNT, PUBLISHED_SEED
from bench.flow import SCENARIOS, generate
from bench.progress import Steps
from tests.bench import naive

BOUNDARIES = ("kernel", "pipeline")


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("scenario", ["flash-crash", pytest.param("static", marks=pytest.mark.long)])
def test_short_flows_have_the_digest_of_a_naive_matcher(scenario, boundary):
    messages = generate(scenario, 7, 5000)
    expected = naive.run(messages, referee.SESSION, referee.FIRST)
    result = referee.run(scenario, 7, 5000, boundary, 1, None, Steps()).figures
    assert (result["digest"], result["trades"], result["messages"]) == (expected.digest(), expected.matches, len(messages))


@pytest.mark.long
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_published_digests(scenario, boundary):
    result = referee.run(scenario, PUBLISHED_SEED, PUBLISHED_COUNT, boundary, 1, None, Steps()).figures
    assert result["digest"] == (PUBLISHED | OURS)[scenario]


def test_the_command_prints_one_json_object_with_the_promised_keys():
    command = [sys.executable, "-m", "bench", "referee", "--scenario", "normal", "--count", "2000", "--repeat", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    promised = {"digest", "messages", "reports", "trades", "seconds", "messages_per_second", "boundary", "scenario", "seed", "count", "environment"}
    assert promised <= set(result)
    assert done.stdout.count("\n") == 1
