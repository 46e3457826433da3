"""`drive`: built-in flows through a real exchange, timed from their plan, recorded where a killed gateway's parent still finds it."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shm_exchange import BookReplica, Exchange, Gateway, Instrument
from shm_exchange.domain.enums import CommandKind, OrderType, Side, TimeInForce
from shm_exchange.domain.errors import ExchangeError
from shm_exchange.participants.arrivals import Arrivals
from shm_exchange.participants.drive import Course, drive
from shm_exchange.participants.flows import FLOWS
from shm_exchange.participants.histogram import middle_values, new_histogram
from shm_exchange.participants.ledger import Ledgers, ledger_of, page_of
from shm_exchange.participants.portfolio import Traded
from shm_exchange.participants.recorder import DONE, READY, RECORDER, Recorder, distribution, figures_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shm_exchange.supervisor import Child

DRIVE = "shm_exchange.participants.drive:drive"
TRADED = [Traded(0, 10_000), Traded(1, 5_000)]
STALL_SECONDS = 0.3
STALL_NS = int(STALL_SECONDS * 1e9)


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    instruments = [Instrument("ACME"), Instrument("SPREAD", "0.5", min_price="-100", max_price="10000")]
    with Exchange.start(f"d{os.getpid()}", instruments, max_sessions=16) as exchange:
        yield exchange


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder(1)
    yield recorder
    recorder.close()


def driven(exchange: Exchange, recorder: Recorder, course: Course, session: str = "driver") -> dict[str, Any]:
    """Follow a course in this process."""
    recorder.rows["parent"]["start_ns"] = time.monotonic_ns()
    with Gateway.attach(exchange.name, session=session) as gateway:
        drive(gateway, course, recorder.path, 0)
    assert recorder.rows["row"]["state"][0] == DONE
    return figures_of(recorder.rows)


def spawned(exchange: Exchange, recorder: Recorder, course: Course, session: str) -> Child:
    """Follow it in a process of its own, which has begun."""
    (child,) = exchange.spawn(DRIVE, course, recorder.path, 0, session=session)
    while recorder.rows["row"]["state"][0] < READY:
        assert child.poll() is None, child.problem
        time.sleep(0.001)
    recorder.rows["parent"]["start_ns"] = time.monotonic_ns()
    while recorder.rows["row"]["answered"][0] < 10:
        assert child.poll() is None, child.problem
        time.sleep(0.001)
    return child


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("rate", [0, 20_000])
def test_every_flow_is_answered_to_the_last_command(exchange: Exchange, recorder: Recorder, flow: str, rate: int) -> None:
    figures = driven(exchange, recorder, Course(flow, TRADED, rate=rate, orders=2000))
    assert (figures["sent"], figures["answered"], figures["unanswered"], figures["dropped"], figures["misfits"]) == (2000, 2000, 0, 0, 0)
    assert recorder.rows["latency"].sum() == recorder.rows["service"].sum() == 2000
    verdict, status = exchange.verify(), exchange.status()
    assert verdict.holds
    assert status["open_orders"] == 0


@pytest.mark.parametrize("flow", ["maker", "noise"])
def test_open_orders_are_kept_on_demand(exchange: Exchange, recorder: Recorder, flow: str) -> None:
    driven(exchange, recorder, Course(flow, TRADED, orders=300, keep=True), "keeper")
    with BookReplica.attach(exchange.name) as replica:
        replica.update()
        sides = {symbol: [replica.levels(side, symbol) for side in Side] for symbol in ("ACME", "SPREAD")}
    assert all(bids and asks and bids[0] < asks[0] for bids, asks in sides.values())
    driven(exchange, recorder, Course(flow, TRADED, orders=1), "keeper")  # whoever takes the session again begins with nothing open
    assert exchange.verify().holds
    assert exchange.status()["open_orders"] == 0


def test_flows_do_what_they_say(exchange: Exchange, recorder: Recorder) -> None:
    """A maker's quotes are met by a taker, who never rests; pings meet themselves."""
    driven(exchange, recorder, Course("maker", TRADED[:1], orders=60, keep=True), "maker")
    quotes = exchange.status()["open_orders"]
    assert quotes == 6
    before = exchange.status()["trades"]
    driven(exchange, Recorder(1), Course("taker", TRADED[:1], orders=1), "taker")
    assert exchange.status()["trades"] > before
    driven(exchange, recorder, Course("maker", TRADED[:1], orders=1), "maker")
    with Gateway.attach(exchange.name, session="alone") as gateway:
        pings = Recorder(1)
        pings.rows["parent"]["start_ns"] = 1
        drive(gateway, Course("ping", TRADED[1:], orders=200, rate=5000), pings.path, 0)
        lane = gateway._lane
        orders = lane[lane["kind"] == CommandKind.ENTER]
    assert figures_of(pings.rows)["fills"] == 200
    assert set(orders["order_type"].tolist()) == {OrderType.LIMIT}
    assert set(orders["instrument"].tolist()) == {1}
    pings.close()


def test_what_is_held_is_kept_in_its_ledger(exchange: Exchange, recorder: Recorder) -> None:
    """Pings meet themselves: as much is bought as sold, at the same prices. They come in clusters here, and all of them come."""
    ledgers = Ledgers(1, 2)
    recorder.rows["parent"]["start_ns"] = time.monotonic_ns()
    with Gateway.attach(exchange.name, session="holder") as gateway:
        drive(gateway, Course("ping", TRADED, orders=400, rate=5000, arrivals=Arrivals(60.0, 100.0)), recorder.path, 0, ledgers.path)
    page = page_of(ledger_of(ledgers.rows, 0))
    assert page[["position", "cash", "cost", "bought", "sold"]].tolist() == [(0, 0, 0, 100, 100)] * 2
    assert figures_of(recorder.rows)["fills"] == 400
    ledgers.close()


def test_a_flow_ends_when_its_time_is_over_and_is_dropped_behind_it(exchange: Exchange, recorder: Recorder) -> None:
    """Ten million a second cannot be sent: what was due and is not sent is said."""
    figures = driven(exchange, recorder, Course("taker", TRADED, rate=1e7, seconds=0.3))
    assert figures["sent"] == figures["answered"] > 0
    assert figures["dropped"] > 0
    assert figures["sent"] + figures["dropped"] == pytest.approx(3_000_000, rel=0.02)


def test_a_stopped_gateway_is_late_and_says_so(exchange: Exchange, recorder: Recorder) -> None:
    """No coordinated omission: what was planned while it did not run is timed from the plan, and only there."""
    child = spawned(exchange, recorder, Course("taker", TRADED, rate=2000, orders=1500), "sleeper")
    os.kill(child.pid, signal.SIGSTOP)
    time.sleep(STALL_SECONDS)  # what is measured, not a wait for something
    os.kill(child.pid, signal.SIGCONT)
    child.wait(60)
    figures = figures_of(recorder.rows)
    assert figures["answered"] == 1500
    assert figures["latency_ns"]["max"] > STALL_NS * 0.9
    late = STALL_NS // 3
    assert above(recorder.rows["latency"][0], late) > above(recorder.rows["service"][0], late) + 200


def test_a_stopped_matcher_shows_in_the_latency_of_all_that_was_planned_meanwhile(exchange: Exchange, recorder: Recorder) -> None:
    child = spawned(exchange, recorder, Course("taker", TRADED, rate=2000, orders=1500), "waiter")
    matcher = exchange.status()["matcher_pid"]
    os.kill(matcher, signal.SIGSTOP)
    time.sleep(STALL_SECONDS)
    os.kill(matcher, signal.SIGCONT)
    child.wait(60)
    assert above(recorder.rows["latency"][0], STALL_NS // 3) > 200


def above(counts: np.ndarray, nanoseconds: int) -> int:
    """How many samples of a histogram are above."""
    return int(counts[middle_values() > nanoseconds].sum())


def test_what_a_killed_gateway_measured_is_still_there(exchange: Exchange, recorder: Recorder) -> None:
    child = spawned(exchange, recorder, Course("noise", TRADED, rate=2000, seconds=60), "victim")
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(ExchangeError, match=r"victim, process .* died: killed by SIGKILL"):
        child.wait(60)
    figures = figures_of(recorder.rows)
    assert figures["answered"] >= 10
    assert recorder.rows["latency"].sum() >= figures["answered"] - 1  # the row is written behind the histogram, at the latest with the next one
    driven(exchange, Recorder(1), Course("noise", TRADED, orders=1), "victim")  # takes its session over, and what it left in the book


def test_it_ends_early_when_asked_and_by_signal(exchange: Exchange, recorder: Recorder) -> None:
    child = spawned(exchange, recorder, Course("maker", TRADED, rate=1000, seconds=60), "asked")
    recorder.rows["parent"]["stop"] = 1
    assert child.wait(60) > 0  # so many quotes were canceled
    figures = figures_of(recorder.rows)
    assert figures["sent"] == figures["answered"]
    again = Recorder(1)
    child = spawned(exchange, again, Course("maker", TRADED, rate=1000, seconds=60), "told")
    child.end()
    assert child.poll() == -signal.SIGTERM
    with Gateway.attach(exchange.name, session="told") as gateway:
        gateway.mass_cancel()


@pytest.mark.long
def test_lost_reports_are_counted_and_it_goes_on_with_nothing_open(recorder: Recorder) -> None:
    """A gateway that sleeps while others meet its orders, a lot at a time, finds its ring overrun."""
    instruments, takes = [Instrument("ACME"), Instrument("BETA")], ((Side.SELL, 1), (Side.BUY, 20_000))
    with Exchange.start(f"l{os.getpid()}", instruments, report_capacity=64, lane_capacity=64, sweep_budget=16, max_sessions=4) as small:
        child = spawned(small, recorder, Course("maker", [*TRADED[:1], Traded(1, 5000)], rate=1000, orders=1000), "overrun")
        os.kill(child.pid, signal.SIGSTOP)
        with Gateway.attach(small.name, session="hitter") as hitter:
            for number in range(400):
                side, price_ticks = takes[number % 2]
                hitter.limit(("ACME", "BETA")[number // 2 % 2], side, price_ticks=price_ticks, quantity=1, time_in_force=TimeInForce.IOC)
                hitter.wait(1.0)
                hitter.poll()
        assert sum(lane["reports_skipped"] for lane in small.status()["lanes"]) > 0
        os.kill(child.pid, signal.SIGCONT)
        child.wait(60)
        assert small.verify().holds
        assert small.status()["open_orders"] == 0
    figures = figures_of(recorder.rows)
    assert figures["reports_lost"] > 0
    assert figures["misfits"] == 0
    assert figures["sent"] + figures["dropped"] == 1000


def test_a_percentile_is_told_only_with_ten_samples_above_it() -> None:
    counts = new_histogram()
    assert distribution(counts, 0) == {"p50": None, "p90": None, "p99": None, "p99.9": None, "p99.99": None, "max": None}
    counts[100] = 999
    assert distribution(counts, 101) == {"p50": 100, "p90": 100, "p99": None, "p99.9": None, "p99.99": None, "max": 101}
    counts[100] = 1000
    assert distribution(counts, 101)["p99"] == 100
    counts[100] = 100_000
    assert distribution(counts, 101)["p99.99"] == 100


@pytest.mark.long
def test_records_of_several_add_up() -> None:
    records = np.zeros(2, RECORDER)
    for record, first in zip(records, (50, 70), strict=True):
        record["row"]["sent"], record["row"]["answered"] = 30, 25
        record["row"]["began_ns"], record["row"]["ended_ns"] = 1_000_000_000 + first, 2_000_000_000 + first
        record["row"]["latency_max"] = first
        record["latency"][first] = 25
    merged = figures_of(records)
    assert (merged["sent"], merged["unanswered"], merged["answered_per_second"]) == (60, 10, 50)
    assert merged["latency_ns"]["p50"] == 50
    assert merged["latency_ns"]["max"] == 70
    assert figures_of(np.zeros(2, RECORDER))["seconds"] == 0
