"""Many participants on few cores: none stalls, none leaks, nothing is lost, and what they hold adds up to zero, whoever is killed."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from shm_exchange import Exchange, Gateway, Instrument, Side
from shm_exchange.domain.errors import ConfigError, NoFreeSession, SessionInUse
from shm_exchange.participants.market_file import parsed
from shm_exchange.supervisor.population import Population

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORT = (16, 2.0)
LONG = (100, 300.0)
"""Participants, seconds."""
_SHARES = {"market_maker": 0.2, "momentum": 0.15, "mean_reversion": 0.15, "vwap": 0.05, "twap": 0.05}


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    with Exchange.start(f"p{os.getpid()}", [Instrument("ACME"), Instrument("BETA")], max_sessions=LONG[0] + 4) as exchange:
        yield exchange


def market_of(count: int) -> str:
    """A mixture of so many."""
    counts = {name: max(1, int(count * share)) for name, share in _SHARES.items()}
    text = ""
    for name, own in ({"zero": count - sum(counts.values())} | counts).items():
        text += f"[[participant]]\nbehaviour='{name}'\ncount={own}\n"
        text += "rate=20\narrivals='hawkes'\nsymbol=['ACME', 'BETA']\n" if name == "zero" else "delay='100us'\njitter='exponential 50us'\n"
    return text


def resources(pids: list[int]) -> dict[int, tuple[int, int]]:
    """(private memory in bytes, open descriptors) of each process that lives."""
    found = {}
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            found[pid] = (process.memory_full_info().uss, process.num_fds())
    return found


def lived(exchange: Exchange, count: int, seconds: float) -> dict[str, Any]:
    """Run a mixture, watch that everybody goes on and nobody grows; the figures."""
    early: dict[int, tuple[int, int]] = {}
    late: dict[int, tuple[int, int]] = {}
    with Population(parsed(market_of(count)), exchange.name, seconds=seconds) as population:
        for seen in population.moments(0.25):
            if {moment.state for moment in seen} == {"running"}:
                now = resources([moment.pid for moment in seen])
                if len(now) == count:  # else some have just ended
                    early, late = (early, now) if population.seconds > 0.4 * seconds and early else (now, now)
        figures = population.figures()
        pids = [child.pid for child in population.children]
    assert len(early) == len(late) == count
    assert all(late[pid][1] <= early[pid][1] for pid in late), "descriptors leak"
    grown = sum(late[pid][0] - early[pid][0] for pid in late) / count
    assert grown < 2_000_000, f"each has grown by {grown:,.0f} bytes"
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    return figures


def check(figures: dict[str, Any], count: int) -> None:
    merged, balance = figures["merged"], figures["balance"]
    assert figures["problems"] == []
    assert [member["state"] for member in figures["members"]] == ["done"] * count
    assert (merged["unanswered"], merged["misfits"], merged["reports_lost"]) == (0, 0, 0)
    assert merged["fills"] == 2 * balance["trades"] > 0
    assert (balance["alone"], balance["positions"], balance["cash"], balance["holds"]) == (True, [0, 0], [0, 0], True)
    assert all(member["answered"] > 0 for member in figures["members"] if member["behaviour"] in ("zero", "market_maker"))
    for member in figures["members"]:
        assert member["pnl"] == pytest.approx([sum(pair) for pair in zip(member["realised"], member["unrealised"], strict=True)])


def test_a_crowd_on_few_cores(exchange: Exchange) -> None:
    count, seconds = SHORT
    check(lived(exchange, count, seconds), count)
    assert exchange.status()["open_orders"] == 0
    assert exchange.verify().holds


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_hundred_for_five_minutes(exchange: Exchange) -> None:
    count, seconds = LONG
    figures = lived(exchange, count, seconds)
    check(figures, count)
    assert figures["merged"]["seconds"] > 0.95 * seconds
    assert exchange.verify().holds


def test_who_is_killed_is_named_and_the_books_still_balance(exchange: Exchange) -> None:
    text = "[[participant]]\nbehaviour='zero'\ncount=2\nrate=400\n[[participant]]\nbehaviour='market_maker'\ncount=2\n"
    with Population(parsed(text), exchange.name, seconds=1.5) as population:
        victims: list[int] = []
        for seen in population.moments(0.1):
            if not victims and min(moment.figures["fills"] for moment in (seen[0], seen[2])) > 5:
                victims = [seen[0].pid, seen[2].pid]  # one in a kernel, one in Python
                for pid in victims:
                    os.kill(pid, signal.SIGKILL)
        figures = population.figures()
    states = [member["state"] for member in figures["members"]]
    assert states == ["killed by SIGKILL", "done", "killed by SIGKILL", "done"]
    assert [f"process {pid}, died: killed by SIGKILL" in problem for pid, problem in zip(victims, figures["problems"], strict=True)] == [True, True]
    assert figures["balance"]["holds"], figures["balance"]
    assert figures["members"][0]["sent"] > 0
    assert exchange.status()["open_orders"] == 0


def test_where_others_trade_it_says_so(exchange: Exchange) -> None:
    with Gateway.attach(exchange.name, session="stranger") as stranger:
        with Population(parsed("[[participant]]\nbehaviour='momentum'\n"), exchange.name, seconds=0.2) as population:
            for _ in population.moments(0.1):
                stranger.limit("ACME", Side.BUY, price_ticks=1, quantity=1)
            figures = population.figures()
        stranger.mass_cancel()
        stranger.wait(1.0)
    assert (figures["balance"]["alone"], figures["balance"]["note"]) == (False, "others traded too: stranger")
    assert figures["problems"] == []


@pytest.mark.long
def test_an_arbitrageur_watches_another_exchange(exchange: Exchange) -> None:
    text = f"[[participant]]\nbehaviour='latency_arbitrageur'\nwatch='ACME@{exchange.name}'\nlimit=30\n"
    with Exchange.start(f"slow{os.getpid()}", [Instrument("ACME")], max_sessions=4) as slow:
        for name, mid in ((exchange.name, 10_020), (slow.name, 10_000)):
            with Gateway.attach(name, session="quoter") as quoter:
                quoter.limit("ACME", Side.BUY, price_ticks=mid - 2, quantity=50)
                quoter.limit("ACME", Side.SELL, price_ticks=mid + 2, quantity=50)
                assert quoter.wait(5.0)
        with Population(parsed(text), slow.name, seconds=0.5) as population:
            for _ in population.moments(0.1):
                continue
            (arbitrageur,) = population.figures()["members"]
    with Gateway.attach(exchange.name, session="quoter") as quoter:
        quoter.mass_cancel()
    assert (arbitrageur["positions"], arbitrageur["cash"]) == ([30], [-30 * 10_002])


@pytest.mark.long
def test_it_ends_when_asked_and_with_its_parent(exchange: Exchange) -> None:
    with Population(parsed(market_of(8)), exchange.name, seconds=600) as population:
        for seen in population.moments(0.05):
            if {moment.state for moment in seen} == {"running"}:
                break
        population.stop()
        assert {moment.state for moment in population.seen()} == {"done"}
    with Population(parsed(market_of(8)), exchange.name, seconds=600) as population:
        pids = [child.pid for child in population.children]
        os.kill(population.nursery_pid, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while any(Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids):
            assert time.monotonic() < deadline, "children outlive their nursery"
            time.sleep(0.01)
    with Gateway.attach(exchange.name, session="cleaner") as cleaner:
        assert cleaner.number


def test_what_cannot_be_started_is_said_before_anything_is(exchange: Exchange) -> None:
    one = "[[participant]]\nbehaviour='twap'\n"
    with pytest.raises(NoFreeSession):
        Population(parsed(one + "count=500\n"), exchange.name)
    with pytest.raises(ConfigError, match="has no instrument 'GAMMA'"):
        Population(parsed("[[instrument]]\nsymbol='GAMMA'\n" + one), exchange.name)
    with pytest.raises(ConfigError, match=r"ACME has tick 0.5 and lot 1 here, 0.01 and 1 on exchange"):
        Population(parsed("[[instrument]]\nsymbol='ACME'\ntick_size='0.5'\n" + one), exchange.name)
    with Gateway.attach(exchange.name, session="twap-1"), pytest.raises(SessionInUse):
        Population(parsed(one), exchange.name)
