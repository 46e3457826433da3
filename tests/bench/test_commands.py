"""Commands as a whole: the sweep and its knee, gateways in processes of their own, the control of hiccups, and what `python -m bench` prints."""

from __future__ import annotations

import io
import json
import os

import numpy as np
import pytest
from rich.console import Console

from bench import __main__ as program
from bench import gateways, sweep
from bench.hiccups import hiccups, platform_limited
from bench.measurement import Measurement, merged
from bench.passes import Load, Pass
from bench.progress import Steps
from bench.text import show
from bench.verdicts import crowded, of_row
from shm_exchange.domain.errors import ConfigError
from shm_exchange.participants.histogram import new_histogram
from tests.bench.test_recorders import counted

CAPACITY = 100_000


class Machine:
    """In the sender's place: fast up to its capacity, with an unlucky first pass at one rate."""

    def __init__(self, *, unlucky: int = 0, drops: bool = False):
        self.unlucky, self.drops = unlucky, drops
        self.sent: list[int] = []

    def send(self, load):
        again = load.rate in self.sent
        self.sent.append(load.rate)
        over = load.rate > CAPACITY
        slow = over or (load.rate == self.unlucky and not again)
        counts = counted([100_000 if slow else 1000] * 2000)
        return Pass(load, counts, counts, 2000, 7 if over and self.drops else 0, 0, 2000 / load.rate)


def swept(machine: Machine) -> sweep.Sweep:
    found = sweep.Sweep(machine, Load(1, 0.1), Measurement({}), Steps())
    found.climb(10_000, 1_000_000, 2.0)
    found.narrow()
    return found


def test_the_knee_is_the_lowest_rate_whose_p99_jumps():
    found = swept(Machine())
    rows = found.rows()
    assert [row["rate"] for row in rows] == sorted(row["rate"] for row in rows)
    assert [row["rate"] for row in rows if row["knee"]] == [found.knee]
    assert found.knee is not None
    assert found.knee > CAPACITY >= found.figures()["sustained_rate"] >= 80_000
    assert found.knee < 160_000, "the step was halved"
    assert "p99" in found.figures()["knee_because"]


def test_drops_are_a_knee_too():
    assert "dropped 7" in swept(Machine(drops=True)).figures()["knee_because"]


def test_one_hiccup_is_no_knee():
    machine = Machine(unlucky=40_000)
    assert (swept(machine).knee or 0) > CAPACITY
    assert machine.sent.count(40_000) == 3, "a rate that looks over is sent twice more"


def test_a_machine_that_is_never_over_has_no_knee():
    found = sweep.Sweep(Machine(), Load(1, 0.1), Measurement({}), Steps())
    found.climb(10_000, 50_000, 2.0)
    found.narrow()
    assert (found.knee, found.figures()["sustained_rate"], len(found.rows())) == (None, 40_000, 3)


@pytest.mark.long
def test_gateways_have_each_their_histogram_and_a_merged_one():
    measured = gateways.run([2], Load(2000, 0.1), Steps())
    [row] = measured.figures["gateways"]
    assert (row["gateways"], row["answered"], row["dropped"]) == (2, 400, 0)
    assert [(each["gateway"], each["answered"]) for each in row["each"]] == [(1, 200), (2, 200)]
    parts = [measured.histograms[f"2 gateways, number {number}"] for number in (1, 2)]
    assert np.array_equal(measured.histograms["2 gateways"], parts[0] + parts[1])
    assert any("measures the scheduler" in warning for warning in measured.warnings) == (len(os.sched_getaffinity(0)) < 3)


def test_hiccups_are_counted_on_a_spare_core_by_another_process():
    core = min(os.sched_getaffinity(0))
    with hiccups(10_000, core, core) as control:
        control.interlude(Load(10_000, 0.1))
        while control.counts.sum() < 100:
            os.sched_yield()
    assert "all the time" in control.figures()["measured"]


def test_without_a_spare_core_hiccups_are_counted_between_the_passes():
    with hiccups(10_000, 0, None) as control:
        control.interlude(Load(10_000, 0.02))
    assert control.figures()["late_ns_samples"] == 200


def test_a_tail_that_the_bare_core_has_too_is_said_to_be_the_machines():
    late, near, far = counted([50_000] * 20_000), counted([80_000] * 20_000), counted([500_000] * 20_000)
    assert "platform-limited" in platform_limited(late, near, "open loop")
    assert not platform_limited(late, far, "open loop")
    assert not platform_limited(counted([50_000] * 10), near, "open loop"), "too few samples to say so"


def test_a_run_is_doubted_in_words():
    few = Pass(Load(1000, 0.1), counted([5] * 100), counted([5] * 100), 100, 0, 0, 0.1).row()
    [said] = of_row(few, "open loop")
    assert "p99 and beyond" in said
    assert "--seconds 100" in said
    lost = Pass(Load(1000, 200), counted([5] * 100_000), counted([5] * 100_000), 100_000, 100_000, 0, 200.0).row()
    assert [word for text in of_row(lost, "open loop") for word in ("dropped 100,000", "500 orders/s only") if word in text] == [
        "dropped 100,000",
        "500 orders/s only",
    ]
    assert not crowded(1, "one")
    assert "scheduler" in crowded(10_000, "many")


def test_runs_become_one():
    runs = [Measurement({"rows": [{"p99": p99}]}, {"open": counted([p99])}, warnings=["same"]) for p99 in (1, 3, 2)]
    one = merged(runs)
    assert (one.figures["rows"], one.warnings) == ([{"p99": 2}], ["same"])
    assert one.histograms["open"].sum() == 3
    assert merged(runs[:1]) is runs[0]


def test_figures_fit_the_terminal():
    row = Pass(Load(1000), counted([5] * 100), new_histogram(), 100, 0, 0, 1.0).row()
    made = Measurement(
        {"python_ns_p50": 1234.5, "said": 40 * "word ", "open_loop": [row]}, curve=[{"rate": 1, "achieved": 1, "p50": 2, "p99": None, "p99.9": None}]
    )
    made.curve[0] |= {"dropped": 0, "knee": True}
    for width in (140, 80, 60):
        out = io.StringIO()
        show(made, Console(file=out, width=width))
        lines = out.getvalue().splitlines()
        assert max(map(len, lines)) <= width
        assert "…" not in out.getvalue()
        assert out.getvalue().count("word") == 40
        for said in ("python_ns_p50", "1,234.5", "latency", "◀ knee"):
            assert said in out.getvalue()


@pytest.fixture
def command(monkeypatch, capsys):
    """Run `python -m bench sweep` with another `run`; returns its status, standard output and standard error."""

    def call(run, *arguments):
        monkeypatch.setattr(sweep, "run", run)
        monkeypatch.setattr("sys.argv", ["bench", "sweep", *arguments])
        status = program.main()
        return status, *capsys.readouterr()

    return call


def test_json_is_one_object_and_all_else_goes_to_standard_error(command):
    def run(*_arguments):
        return Measurement({"sustained_rate": 7}, {"1/s": counted([1])}, {}, [{"rate": 7}], ["doubtful"])

    status, out, err = command(run, "--json")
    result = json.loads(out)
    assert (status, out.count("\n")) == (0, 1)
    assert (result["sustained_rate"], result["curve"], result["warnings"]) == (7, [{"rate": 7}], ["doubtful"])
    assert "environment" in result
    assert err.index("processor") < err.index("warning: doubtful")


def test_an_error_is_one_line_and_ctrl_c_is_130(command):
    def refuse(*_arguments):
        raise ConfigError("no such thing")

    def interrupt(*_arguments):
        raise KeyboardInterrupt

    status, out, err = command(refuse)
    assert (status, out, err.splitlines()[-1]) == (1, "", "error: no such thing")
    assert command(interrupt)[0] == 130


@pytest.mark.parametrize("wrong", [["--seconds", "0"], ["--first", "0"], ["--arrivals", "sometimes"], ["--patience-ms", "x"]])
def test_wrong_flags_are_refused_at_the_edge(command, wrong):
    with pytest.raises(SystemExit) as leaving:
        command(lambda *_: None, *wrong)
    assert leaving.value.code == 2


@pytest.mark.long
@pytest.mark.parametrize(
    ("arguments", "promised"),
    [
        (["latency", "--rates", "5000", "--seconds", "0.2", "--blocks", "2"], {"open_loop", "order_rtt_ns_p50", "stages", "hiccups", "stamped"}),
        (["latency", "--rates", "5000", "--seconds", "0.2", "--blocks", "2", "--closed-loop", "--corrected"], {"closed_loop", "python_rtt_ns_p50"}),
        (["sweep", "--first", "5000", "--limit", "20000", "--seconds", "0.1"], {"curve", "sustained_rate"}),
        (["gateways", "--gateways", "1", "3", "--rate", "1000", "--seconds", "0.1"], {"gateways"}),
        (["throughput", "--count", "10000", "--repeat", "1"], {"orders_per_second", "python_orders_per_second"}),
        (["snapshot", "--count", "10000"], {"reads_per_second", "over_threaded"}),
        (["transports", "--count", "10000"], {"transports"}),
    ],
)
def test_every_command_measures(arguments, promised, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["bench", *arguments, "--json"])
    assert program.main() == 0
    assert promised <= json.loads(capsys.readouterr().out).keys()
