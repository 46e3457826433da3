"""An exchange from start to stop, in its owner's hands and in others'."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from shm_exchange.client import Gateway
from shm_exchange.domain.enums import Side
from shm_exchange.domain.errors import ConfigError, ExchangeNotFound, ExchangeRunning, HandleClosed
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.packing import config_of, packed_config, unpacked_config
from shm_exchange.runtime.affinity import usable_cores
from shm_exchange.supervisor import Exchange
from shm_exchange.supervisor.remote import stop_exchange
from tests.supervisor.callers import Caller, Watch, has_files

if TYPE_CHECKING:
    from collections.abc import Callable

ACME = Instrument("ACME")
START = """
with Exchange.start(name, instruments, **small) as exchange:
    say(**pids(exchange))
    wait()
"""


def test_supervisors_start_without_numba() -> None:
    program = "import sys, shm_exchange.supervisor.__main__, shm_exchange.supervisor.worker, shm_exchange.runtime.warm; print('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"


def test_from_start_to_stop(name: str) -> None:
    core = usable_cores()[-1]
    with Exchange.start(name, [ACME, Instrument("GLOBEX", tick_size="0.5")], core=core, max_sessions=4, depth=3) as exchange:
        assert (exchange.name, exchange.config.depth, [item.symbol for item in exchange.config.instruments]) == (name, 3, ["ACME", "GLOBEX"])
        status = exchange.status()
        assert (status["matcher"], status["supervisor_alive"], status["commands"], status["lanes"]) == ("running", True, 0, [])
        assert os.sched_getaffinity(status["matcher_pid"]) == {core}
        before = exchange.verify()
        assert before.holds
        with Gateway.attach(name, session="alice") as gateway:
            gateway.limit("ACME", Side.BUY, price="9.99", quantity=5)
            assert gateway.wait(10)
            (lane,) = exchange.status()["lanes"]
            assert (lane["session"], lane["account"], lane["pid"], lane["alive"], lane["open_orders"]) == ("alice", "alice", os.getpid(), True, 1)
        after = exchange.verify()
        assert after.holds
        assert after != before
        assert exchange.status()["open_orders"] == 1
        assert not exchange.status()["lanes"][0]["alive"]
        assert "ours" in repr(exchange)
        watch = Watch(status["matcher_pid"], status["supervisor_pid"])
    with watch:
        assert watch.living() == []
    assert not has_files(name)


def test_stop_is_idempotent(name: str) -> None:
    exchange = Exchange.start(name, [ACME])
    exchange.stop()
    exchange.stop()
    exchange.close()
    with exchange:
        assert "closed" in repr(exchange)
    for use in (exchange.status, exchange.verify, lambda: exchange.spawn("timeit:timeit")):
        with pytest.raises(HandleClosed, match="attach again"):
            use()
    assert not stop_exchange(name)


def test_a_live_name_says_who_runs_it_and_what_to_do(exchange: Exchange) -> None:
    with pytest.raises(ExchangeRunning) as caught:
        Exchange.start(exchange.name, [ACME])
    text = str(caught.value)
    assert str(exchange.status()["supervisor_pid"]) in text
    assert "started 2" in text
    assert f"shm-exchange stop {exchange.name}" in text
    assert exchange.verify().holds


def test_of_two_that_start_at_once_one_is_told(name: str, call: Callable[..., Caller]) -> None:
    program = """
    wait()
    try:
        exchange = Exchange.start(name, instruments, **small)
    except ExchangeRunning as error:
        say(error=str(error))
    else:
        say(error="")
        wait()
        exchange.stop()
    """
    callers = [call(program), call(program)]
    for caller in callers:
        caller.go_on()
    errors = [caller.hear()["error"] for caller in callers]
    assert sorted(map(bool, errors)) == [False, True]
    assert "shm-exchange stop" in max(errors)
    assert [caller.end()[0] for caller in callers] == [0, 0]
    assert not has_files(name)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"max_session": 3}, "did you mean 'max_sessions'"),
        ({"max_sessions": 0}, "max_sessions must be"),
        ({"core": 4095}, "core 4095 cannot be used"),
    ],
)
def test_what_cannot_be_started_is_said(name: str, sizes: dict[str, Any], words: str) -> None:
    with pytest.raises((ConfigError, ExchangeNotFound), match=words):
        Exchange.start(name, [ACME], **sizes)


def test_instruments_are_instruments(name: str) -> None:
    with pytest.raises(ConfigError, match=r"write Instrument\('ACME'"):
        Exchange.start(name, ["ACME"])  # type: ignore[list-item]


def test_a_configuration_travels(name: str) -> None:
    config = config_of(name, [ACME, Instrument("OIL", "0.05", 10, min_price="-100", max_price="100")], {"max_sessions": 3, "depth": 7})
    copy = unpacked_config(packed_config(config))
    assert packed_config(copy) == packed_config(config)
    assert [(item.tick, item.lot, item.min_ticks) for item in copy.instruments] == [
        (item.tick, item.lot, item.min_ticks) for item in config.instruments
    ]


def test_an_attached_handle_looks_and_verifies(exchange: Exchange) -> None:
    with Exchange.attach(exchange.name) as other:
        assert other.status()["matcher_pid"] == exchange.status()["matcher_pid"]
        assert other.verify() == exchange.verify()
        assert other.verify() == exchange.verify()
        assert other.config == exchange.config
    assert exchange.verify().holds, "letting go of an attached handle stops nothing"


def test_whoever_attached_may_stop_it(name: str) -> None:
    owner = Exchange.start(name, [ACME])
    other = Exchange.attach(name)
    other.stop()
    other.stop()
    assert not has_files(name)
    with pytest.raises(ExchangeNotFound, match="was stopped"):
        owner.verify()
    owner.stop()


def test_a_stranger_may_stop_it(name: str, call: Callable[..., Caller]) -> None:
    caller = call(START)
    with Watch.of(caller.hear()) as watch:
        assert stop_exchange(name)
        watch.expect_end()
        assert not stop_exchange(name)
        caller.go_on()
        assert caller.end() == (0, "")


def test_nobody_runs_it(name: str) -> None:
    with pytest.raises(ExchangeNotFound, match=f"there is no exchange '{name}'"):
        Exchange.attach(name)


def test_a_forked_child_does_not_stop_it(name: str, call: Callable[..., Caller]) -> None:
    program = """
    exchange = Exchange.start(name, instruments, **small)
    child = os.fork()
    if child == 0:
        try:
            exchange.stop()
        except HandleClosed as error:
            say(error=str(error))
        sys.exit()
    os.waitpid(child, 0)
    say(holds=exchange.verify().holds)
    """
    caller = call(program)
    assert "forked this one" in caller.hear()["error"]
    assert caller.hear() == {"holds": True}
    assert caller.end() == (0, "")
    assert not has_files(name)


@pytest.mark.parametrize("program", ["exchange = Exchange.start(name, instruments)", "exchange = Exchange.start(name, instruments); sys.exit(3)"])
def test_what_was_not_stopped_is_stopped_at_exit(name: str, call: Callable[..., Caller], program: str) -> None:
    assert call(program).end() == (3 * ("exit" in program), "")
    assert not has_files(name)
