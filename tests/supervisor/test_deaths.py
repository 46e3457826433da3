"""Whoever is killed: nothing runs on that should not, files go or can be reaped, and the error says what happened."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from shm_exchange.domain.errors import ExchangeNotFound, ExchangeRunning, ProcessDied
from shm_exchange.domain.instrument import Instrument
from shm_exchange.shm import exchanges, reap
from shm_exchange.supervisor import Exchange
from shm_exchange.supervisor.remote import stop_exchange
from tests.litmus.exchanges import outgrow_the_log
from tests.supervisor import functions
from tests.supervisor.callers import Caller, Watch, has_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ACME = Instrument("ACME")
SHORT_LOG: dict[str, Any] = {"log_capacity": 64, "sweep_budget": 32}
START = """
with Exchange.start(name, instruments, **small) as exchange:
    exchange.spawn(functions.rest, session="r", count=2)
    say(**pids(exchange))
    {then}
"""
WAITING = START.format(then="wait()")


def _expect_gone(name: str, watch: Watch) -> None:
    watch.expect_end()
    assert not has_files(name)


def test_a_killed_caller_takes_everything_with_it(name: str, call: Callable[..., Caller]) -> None:
    caller = call(WAITING)
    with Watch.of(caller.hear()) as watch:
        assert len(watch.living()) == 4
        caller.kill()
        _expect_gone(name, watch)


def test_a_fork_that_holds_the_pipe_does_not_keep_it(name: str, call: Callable[..., Caller]) -> None:
    caller = call(START.format(then="child = os.fork()\n    if child: say(fork=child)\n    wait()"))
    with Watch.of(caller.hear()) as watch, Watch(caller.hear()["fork"]) as fork:
        caller.process.kill()
        _expect_gone(name, watch)
        assert fork.living()


@pytest.mark.long
def test_a_hang_up_of_the_terminal_takes_everything_with_it(name: str, call: Callable[..., Caller]) -> None:
    caller = call(WAITING)
    with Watch.of(caller.hear()) as watch:
        caller.process.send_signal(signal.SIGHUP)
        _expect_gone(name, watch)


def test_ctrl_c_stops_all_cleanly(name: str, call: Callable[..., Caller]) -> None:
    caller = call(WAITING)
    with Watch.of(caller.hear()) as watch:
        caller.interrupt()
        status, errors = caller.end()
        assert status in (-signal.SIGINT, 130)
        assert errors.count("Traceback") == 1, "only the caller's own KeyboardInterrupt"
        assert watch.living() == []
    assert not has_files(name)


def test_ctrl_c_during_the_start_leaves_nothing(name: str, call: Callable[..., Caller]) -> None:
    program = """
    from shm_exchange.supervisor import owned
    class Interrupted(owned.OwnedSupervisor):
        def _receive(self, timeout):
            say(supervisor=self.pid)
            return super()._receive(timeout)
    Exchange.start.__globals__["OwnedSupervisor"] = Interrupted
    Exchange.start(name, instruments, **small)
    """
    caller = call(program)
    with Watch(caller.hear()["supervisor"]) as watch:
        caller.interrupt()
        assert "KeyboardInterrupt" in caller.end()[1]
        assert watch.living() == []
    assert not has_files(name)


def test_a_killed_supervisor_takes_matcher_and_children_with_it(name: str, call: Callable[..., Caller]) -> None:
    then = """wait()
    try:
        exchange.verify()
    except ProcessDied as error:
        say(error=str(error), status=exchange.status()["matcher"])
    """
    caller = call(START.format(then=then))
    words = caller.hear()
    with Watch.of(words) as watch:
        watch.send(words["supervisor"], signal.SIGKILL)
        watch.expect_end()
        assert has_files(name)
        caller.go_on()
        answer = caller.hear()
        assert "killed by SIGKILL" in answer["error"]
        assert "stop and start again" in answer["error"]
        assert "\n" not in answer["error"]
        assert answer["status"] in ("dead", "stopped")
    assert caller.end() == (0, "")
    assert not has_files(name), "its caller removes what it left"


@pytest.mark.long
def test_caller_and_supervisor_killed_at_once_leave_only_files_that_can_be_reaped(name: str, call: Callable[..., Caller]) -> None:
    caller = call(WAITING)
    words = caller.hear()
    with Watch.of(words) as watch:
        watch.send(words["supervisor"], signal.SIGSTOP)
        caller.kill()
        watch.expect_end(*words["children"])
        watch.send(words["supervisor"], signal.SIGKILL)
        watch.expect_end()
        assert [info.is_alive for info in exchanges() if info.name == name] == [False]
        assert reap(name)


def test_a_killed_matcher_that_cannot_be_replaced_is_said_in_words(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    with Exchange.start(name, [ACME], **SHORT_LOG) as exchange:
        outgrow_the_log(name)
        status = exchange.status()
        with Watch(status["matcher_pid"], status["supervisor_pid"]) as watch:
            watch.send(status["matcher_pid"], signal.SIGKILL)
            watch.expect_end(status["matcher_pid"])
            for ask in (exchange.verify, lambda: exchange.spawn("tests.supervisor.functions:watch", "", gateway=False), exchange.verify):
                with pytest.raises(ProcessDied, match=r"killed by SIGKILL; without a journal its book cannot be rebuilt: stop and start again$"):
                    ask()
            assert exchange.status()["matcher"] == "dead"
            assert watch.living() == [status["supervisor_pid"]]
            with pytest.raises(ExchangeRunning):
                Exchange.start(name, [ACME])
            exchange.stop()
            assert watch.living() == []
    assert capfd.readouterr().err.count("killed by SIGKILL") == 1, "said once on standard error, when it happened"


def test_a_death_that_nobody_asked_for_is_raised_at_the_end(name: str) -> None:
    exchange = Exchange.start(name, [ACME], **SHORT_LOG).__enter__()
    outgrow_the_log(name)
    with Watch(exchange.status()["matcher_pid"]) as watch:
        watch.send(exchange.status()["matcher_pid"], signal.SIGKILL)
        watch.expect_end()
    with pytest.raises(ProcessDied, match=r"the matcher of exchange .* was killed by SIGKILL"):
        exchange.__exit__(None)
    assert not has_files(name)


def test_a_matcher_that_cannot_start_says_why(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    with pytest.raises(Exception, match="the matcher could not start: NUMBA_DISABLE_JIT is set"):
        Exchange.start(name, [ACME])
    assert not has_files(name)


def test_a_matcher_that_dies_at_the_start_shows_its_traceback(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "numba.py").write_text("raise RuntimeError('this numba is broken')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ProcessDied, match=r"the matcher could not start: exit code 1\n(.*\n)*    RuntimeError: this numba is broken$"):
        Exchange.start(name, [ACME])
    assert not has_files(name)


def test_a_stopped_matcher_is_killed_in_the_end(name: str, monkeypatch: pytest.MonkeyPatch, call: Callable[..., Caller]) -> None:
    program = """
    from shm_exchange.supervisor import crew, role
    crew.DRAIN_SECONDS = role._GRACE_SECONDS = 0.05
    with Supervisor(ExchangeConfig(name, tuple(instruments), **small)) as supervisor:
        os.kill(supervisor.matcher.pid, signal.SIGSTOP)
        say(trouble=supervisor.stop())
    """
    caller = call(program)
    assert "did not stop within 0.05 s: killed by SIGKILL" in caller.hear()["trouble"]
    assert caller.end() == (0, "")
    assert not has_files(name)


def test_run_leaves_the_matcher_when_its_supervisor_is_killed(name: str, call: Callable[..., Caller]) -> None:
    caller = call("run_in_foreground(end_with_parent=False)")
    words = caller.hear()
    with Watch.of(words) as watch:
        caller.kill()
        watch.expect_end(words["supervisor"])
        with Exchange.attach(name) as exchange:
            assert exchange.status()["supervisor_alive"] is False
            assert exchange.verify().holds
            assert exchange.spawn(functions.trade, "1.00", session="alice")[0].wait(30)["kinds"] == ["ACCEPTED"]
            assert exchange.verify().holds
        with pytest.raises(ExchangeRunning, match=r"its supervisor .* is gone, but its matcher lives"):
            Exchange.start(name, [ACME])
        assert watch.living() == [words["matcher"]]
        assert stop_exchange(name)
        assert watch.living() == []
    assert not has_files(name)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_ends_with_a_signal(name: str, call: Callable[..., Caller], number: signal.Signals) -> None:
    caller = call("run_in_foreground(end_with_parent=False)")
    with Watch.of(caller.hear()) as watch:
        caller.process.send_signal(number)
        assert caller.hear() == {"death": ""}
        assert caller.end() == (0, "")
        assert watch.living() == []
    assert not has_files(name)


def test_run_ends_when_its_matcher_died_and_cannot_be_replaced(name: str, call: Callable[..., Caller]) -> None:
    caller = call("run_in_foreground(end_with_parent=False)")
    words = caller.hear()
    outgrow_the_log(name)
    with Watch(words["matcher"]) as watch:
        watch.send(words["matcher"], signal.SIGKILL)
    assert "was killed by SIGKILL; without a journal its book cannot be rebuilt: stop and start again" in caller.hear()["death"]
    assert caller.end() == (0, "")
    assert not has_files(name)
    with pytest.raises(ExchangeNotFound):
        Exchange.attach(name)


@pytest.mark.long
def test_run_verifies_for_others(name: str, call: Callable[..., Caller]) -> None:
    caller = call("run_in_foreground(end_with_parent=False)")
    caller.hear()
    with Exchange.attach(name) as exchange:
        assert exchange.verify().holds
        exchange.stop()
    assert caller.hear() == {"death": ""}
    assert caller.end() == (0, "")
