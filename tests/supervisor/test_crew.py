"""Whoever keeps an exchange going is replaced when it dies, by the same memory; what nobody can replace is given up in words."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from shm_exchange.client import Gateway
from shm_exchange.domain.config import ExchangeConfig, JournalConfig
from shm_exchange.domain.enums import JournalMode, Side
from shm_exchange.domain.errors import ExchangeRunning, ProcessDied
from shm_exchange.domain.instrument import Instrument
from shm_exchange.supervisor import Exchange
from shm_exchange.supervisor.crew import VAIN_DEATHS_MAX
from shm_exchange.supervisor.status import status_of
from shm_exchange.supervisor.supervisor import Supervisor
from tests.litmus.exchanges import take
from tests.litmus.waiting import PATIENCE, await_that
from tests.supervisor.callers import Caller, Watch, has_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SMALL: dict[str, Any] = {
    "max_orders": 1024,
    "max_sessions": 4,
    "lane_capacity": 64,
    "report_capacity": 64,
    "event_capacity": 256,
    "log_capacity": 256,
    "sweep_budget": 16,
}


@pytest.fixture
def config(name: str) -> ExchangeConfig:
    return ExchangeConfig(name, (Instrument("ACME"),), **SMALL)


def _kill(supervisor: Supervisor) -> None:
    """SIGKILL the matcher of now, and let the supervisor see to it."""
    dead = supervisor.matcher
    os.kill(dead.pid, signal.SIGKILL)
    await_that(dead.has_ended, "the matcher dies")
    supervisor.attend()


def test_a_killed_matcher_is_replaced_and_nobody_need_know(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    with Exchange.start(name, [Instrument("ACME")], **SMALL) as exchange, Gateway.attach(name, session="alice") as gateway:
        order_id = gateway.limit("ACME", Side.BUY, price_ticks=100, quantity=5)
        take(gateway, 1)
        before, status = exchange.verify(), exchange.status()
        with Watch(status["matcher_pid"]) as watch:
            watch.send(status["matcher_pid"], signal.SIGKILL)
            watch.expect_end()
        assert exchange.verify()[:2] == before[:2]
        after = exchange.status()
        assert (status["matcher_lives"], after["matcher_lives"], after["matcher"]) == (1, 2, "running")
        assert after["matcher_pid"] != status["matcher_pid"]
        assert after["open_orders"] == 1
        gateway.cancel(order_id)
        assert [(report.number, report.kind.name) for report in take(gateway, 1)] == [(3, "CANCELED")]
    assert not has_files(name)
    said = capfd.readouterr().err
    assert said == f"shm-exchange: the matcher of exchange {name!r} was killed by SIGKILL; another takes over\n"


@pytest.mark.long
def test_run_goes_on_with_another_matcher(name: str, call: Callable[..., Caller]) -> None:
    caller = call("run_in_foreground(end_with_parent=False)")
    words = caller.hear()
    with Watch(words["matcher"]) as watch:
        watch.send(words["matcher"], signal.SIGKILL)
        watch.expect_end()
    with Exchange.attach(name) as exchange:
        await_that(lambda: exchange.status()["matcher_lives"] == 2, "another matcher begins", exchange.status)
        assert exchange.verify().holds
        caller.process.send_signal(signal.SIGTERM)
    assert caller.hear() == {"death": ""}
    assert caller.end()[0] == 0
    assert not has_files(name)


def test_deaths_at_the_same_place_are_in_vain_and_the_exchange_is_given_up(config: ExchangeConfig) -> None:
    """Each successor is killed before it has begun; progress in between makes good for all before."""
    with Supervisor(config) as supervisor:
        for _ in range(VAIN_DEATHS_MAX):
            _kill(supervisor)
        assert supervisor.verify(PATIENCE).holds
        with Gateway.attach(config.name, session="alice", timeout=PATIENCE):
            pass
        for _ in range(VAIN_DEATHS_MAX):
            _kill(supervisor)
            assert supervisor.matcher_death == ""
        _kill(supervisor)
        given_up = f"the matcher of exchange {config.name!r} was killed by SIGKILL; it could not be replaced, each one died at the same place: stop"
        assert supervisor.matcher_death.startswith(given_up)
        with pytest.raises(ProcessDied, match="each one died at the same place: stop and start again"):
            supervisor.verify()
        assert supervisor.stop() == supervisor.matcher_death
    assert not has_files(config.name)


def test_one_that_takes_over_finds_the_living_and_replaces_the_dead(name: str, call: Callable[..., Caller]) -> None:
    caller = call("run_in_foreground(end_with_parent=False)")
    words = caller.hear()
    with Watch(words["supervisor"]) as watch, Gateway.attach(name, session="alice") as gateway:
        gateway.limit("ACME", Side.BUY, price_ticks=100, quantity=5)
        take(gateway, 1)
        with pytest.raises(ExchangeRunning, match=rf"exchange '{name}' has a living supervisor, which nobody need replace"):
            Supervisor.adopt(name)
        caller.kill()
        watch.expect_end()
        with Supervisor.adopt(name) as supervisor:
            assert supervisor.matcher.pid == words["matcher"]
            assert supervisor.verify(PATIENCE).holds
            _kill(supervisor)
            assert supervisor.verify(PATIENCE).holds
            status = status_of(supervisor.segment)
            assert (status["supervisor_pid"], status["matcher_lives"], status["open_orders"]) == (os.getpid(), 2, 1)
            assert supervisor.matcher.pid == status["matcher_pid"]
    assert not has_files(name)


def test_everybody_dead_is_everybody_replaced(name: str, call: Callable[..., Caller]) -> None:
    caller = call("run_in_foreground(end_with_parent=False)")
    words = caller.hear()
    with Watch.of(words) as watch, Gateway.attach(name, session="alice") as gateway:
        gateway.limit("ACME", Side.BUY, price_ticks=100, quantity=5)
        take(gateway, 1)
        caller.kill()
        watch.send(words["matcher"], signal.SIGKILL)
        watch.expect_end()
        gateway.mass_cancel()  # whoever is not closed may submit all the while
        with Supervisor.adopt(name) as supervisor:
            assert supervisor.verify(PATIENCE).holds
            assert [report.kind.name for report in take(gateway, 2)] == ["CANCELED", "MASS_CANCELED"]
    assert not has_files(name)


def test_with_a_journal_a_standby_waits_for_the_matchers_end(config: ExchangeConfig, tmp_path: Path) -> None:
    journal = JournalConfig(JournalMode.ASYNC, str(tmp_path / "journal"), segment_records=256)
    with Supervisor(config, journal=journal) as supervisor:
        standby = supervisor.crew.standby
        assert standby is not None
        standby.await_ready(PATIENCE)
        words, dead = supervisor.segment.array("matcher"), supervisor.matcher
        os.kill(dead.pid, signal.SIGKILL)
        await_that(lambda: words[0].pid == standby.pid, "the standby is the matcher before anybody was told")
        await_that(dead.has_ended, "the matcher dies")
        supervisor.attend()
        assert supervisor.matcher is standby
        assert supervisor.crew.standby is not standby
        assert supervisor.verify(PATIENCE).holds
        keeper = supervisor.crew.keeper
        assert keeper is not None
        os.kill(keeper.pid, signal.SIGKILL)
        await_that(keeper.has_ended, "the keeper dies")
        supervisor.attend()
        counters = supervisor.segment.array("keeper_counters")
        await_that(lambda: counters[0].lives == 2, "another keeper begins", lambda: status_of(supervisor.segment))
        assert supervisor.stop() == ""
    assert not has_files(config.name)


@pytest.mark.long
def test_the_dead_are_disconnected_without_being_asked(name: str, call: Callable[..., Caller]) -> None:
    """Their orders go, where they wished so, though nobody ever takes up their session."""
    with Exchange.start(name, [Instrument("ACME")], **SMALL) as exchange:
        program = """
        from shm_exchange.client import Gateway
        from shm_exchange.domain.enums import Side
        gateways = [Gateway.attach(name, session=session, cancel_on_disconnect=session == "goes") for session in ("goes", "stays")]
        for gateway in gateways:
            gateway.limit("ACME", Side.BUY, price_ticks=100, quantity=5)
        while sum(len(gateway.poll()) for gateway in gateways if gateway.wait(30)) < 2:
            pass
        say(ready=True)
        wait()
        """
        caller = call(program)
        caller.hear()
        assert exchange.status()["open_orders"] == 2
        caller.kill()

        def open_orders() -> dict[str, int]:
            return {lane["session"]: lane["open_orders"] for lane in exchange.status()["lanes"]}

        await_that(lambda: exchange.status()["open_orders"] == 1, "the orders of the dead are canceled", open_orders)
        assert open_orders() == {"goes": 0, "stays": 1}
