"""Functions as processes: what they get, what comes back, how their deaths are told, and that they end with the exchange."""

from __future__ import annotations

import functools
import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from shm_exchange.domain.errors import ConfigError, ProcessDied
from shm_exchange.domain.instrument import Instrument
from shm_exchange.runtime.affinity import usable_cores
from shm_exchange.supervisor import Exchange
from shm_exchange.supervisor.spawn import session_names
from tests.supervisor import functions
from tests.supervisor.callers import PATIENCE, Caller, Watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_a_function_gets_a_gateway_and_its_result_comes_back(exchange: Exchange) -> None:
    (child,) = exchange.spawn(functions.trade, "1.00", quantity=2, session="alice", account="house")
    result = child.wait(PATIENCE)
    assert (result["session"], result["account"], result["kinds"], result["pid"]) == ("alice", "house", ["ACCEPTED"], child.pid)
    assert result["cores"] == list(usable_cores())
    assert child.result == result
    assert child.poll() == 0
    assert "exit code 0" in repr(child)


def test_several_get_sessions_and_cores_of_their_own(exchange: Exchange) -> None:
    cores = usable_cores()
    children = exchange.spawn(functions.trade, "1.00", session="bob", account="desk-{n}", core=cores, count=len(cores) + 1)
    results = [child.wait(PATIENCE) for child in children]
    numbers = range(1, len(cores) + 2)
    assert [(result["session"], result["account"]) for result in results] == [(f"bob-{number}", f"desk-{number}") for number in numbers]
    assert [result["cores"] for result in results] == [[core] for core in (*cores, cores[0])]
    assert [child.name for child in children] == [f"bob-{number}" for number in numbers]


@pytest.mark.parametrize(
    ("template", "first", "count", "names"),
    [
        (None, 3, 2, ["trader-3", "trader-4"]),
        ("alice", 3, 1, ["alice"]),
        ("alice", 3, 2, ["alice-1", "alice-2"]),
        ("{n}th", 3, 2, ["1th", "2th"]),
    ],
)
def test_names_of_sessions(template: str | None, first: int, count: int, names: list[str]) -> None:
    assert session_names(template, "module:Class.trader", first, count) == names


def test_default_names_fit() -> None:
    assert session_names(None, "module:a_function_with_a_long_name", 99, 2) == ["a_function_w-99", "a_function_w-100"]
    with pytest.raises(ConfigError, match="1 to 16 printable"):
        session_names("a_session_too_long", "module:f", 1, 2)


def test_by_name_and_without_a_gateway(exchange: Exchange) -> None:
    (child,) = exchange.spawn("tests.supervisor.functions:watch", "words", gateway=False)
    assert child.wait(PATIENCE) == "WORDS"
    before = len(exchange.status()["lanes"])
    (child,) = exchange.spawn(functions.large, gateway=False)
    assert len(child.wait(PATIENCE)) == 1_000_000
    assert len(exchange.status()["lanes"]) == before


def test_a_failure_comes_with_its_traceback(exchange: Exchange) -> None:
    (child,) = exchange.spawn(functions.fail, "no such luck", session="carol")
    with pytest.raises(ProcessDied) as caught:
        child.wait(PATIENCE)
    text = str(caught.value)
    assert text.startswith(f"carol, process {child.pid}, died: exit code 1\n    Traceback (most recent call last):")
    assert "functions.py" in text
    assert text.endswith("ValueError: no such luck")


def test_a_crash_comes_with_its_signal_and_the_place(exchange: Exchange) -> None:
    (child,) = exchange.spawn(functions.crash, session="dave", gateway=False)
    with pytest.raises(ProcessDied, match=r"died: killed by SIGSEGV\n(.*\n)*.*functions.py.* in crash"):
        child.wait(PATIENCE)


def test_a_signal_from_outside_is_named(exchange: Exchange, fifo: Path) -> None:
    (child,) = exchange.spawn(functions.rest, str(fifo), gateway=False)
    assert fifo.read_text() == "running"
    with pytest.raises(TimeoutError, match="still runs after"):
        child.wait(0.01)
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(ProcessDied, match=r"died: killed by SIGKILL$"):
        child.wait(PATIENCE)


@pytest.mark.parametrize(("code", "words"), [(3, "died: exit code 3$"), ("no money", r"died: exit code 1\n    no money$")])
def test_leaving_with_a_code_is_a_failure(exchange: Exchange, code: object, words: str) -> None:
    (child,) = exchange.spawn(functions.leave, code, gateway=False)
    with pytest.raises(ProcessDied, match=words):
        child.wait(PATIENCE)


def test_leaving_without_one_is_none(exchange: Exchange) -> None:
    assert [child.wait(PATIENCE) for child in exchange.spawn(functions.leave, None, gateway=False, count=2)] == [None, None]


def test_a_result_that_does_not_travel_is_a_failure(exchange: Exchange) -> None:
    (child,) = exchange.spawn(functions.unpicklable, gateway=False)
    with pytest.raises(ProcessDied, match="pickle"):
        child.wait(PATIENCE)


def test_a_session_in_use_is_told_by_the_child(exchange: Exchange, fifo: Path) -> None:
    (first,) = exchange.spawn(functions.hold, str(fifo), session="erin")
    assert fifo.read_text() == "running"
    (second,) = exchange.spawn(functions.trade, "1.00", session="erin")
    with pytest.raises(ProcessDied, match=f"SessionInUse: session 'erin' is held by process {first.pid}"):
        second.wait(PATIENCE)
    first.terminate()
    assert first.wait(PATIENCE) is None


def test_terminating_unwinds_the_function(exchange: Exchange, fifo: Path, tmp_path: Path) -> None:
    (child,) = exchange.spawn(functions.rest, str(fifo), str(tmp_path / "unwound"), gateway=False)
    assert fifo.read_text() == "running"
    child.terminate()
    assert child.wait(PATIENCE) is None
    assert child.poll() == -signal.SIGTERM
    assert (tmp_path / "unwound").exists()
    child.kill()
    child.terminate()


def test_killing_is_not_a_failure(exchange: Exchange, fifo: Path) -> None:
    (child,) = exchange.spawn(functions.stubborn, str(fifo), gateway=False)
    assert fifo.read_text() == "running"
    child.kill()
    assert child.wait(PATIENCE) is None
    assert child.poll() == -signal.SIGKILL


def _local() -> Callable[[], None]:
    def inner() -> None: ...

    return inner


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda: None, "is a lambda"),
        (_local(), "inside another function"),
        (functools.partial(functions.watch, ""), "no function of a module"),
        (functools.wraps(functions.watch)(lambda _: None), "means something else there"),
        (3, "no function of a module"),
        ("tests.supervisor.functions", "no function of a module"),
        ("tests.supervisor.functions:nothing", "another process cannot import it"),
        ("no.such.module:function", "another process cannot import it"),
        ("tests.supervisor.functions:NOT_A_FUNCTION", "means something else"),
    ],
)
def test_what_another_process_cannot_import_is_refused_in_one_line(exchange: Exchange, function: Callable[[], None], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        exchange.spawn(function)
    assert "\n" not in str(caught.value)


def test_a_function_of_the_script_itself_is_refused_in_one_line(call: Callable[..., Caller]) -> None:
    program = """
    def trader(gateway):
        pass
    with Exchange.start(name, instruments, **small) as exchange:
        try:
            exchange.spawn(trader)
        except ConfigError as error:
            say(error=str(error))
    """
    caller = call(program)
    assert "move it to the top of a module, for example traders.py" in caller.hear()["error"]
    assert caller.end() == (0, "")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"core": 4095}, "core 4095 cannot be used: this process may run on core"),
        ({"core": []}, "names no core"),
        ({"count": 0}, "count=0"),
        ({"session": "with space"}, "printable"),
        ({"words": threading.Lock()}, "an argument cannot be sent to another process"),
    ],
)
def test_what_cannot_be_spawned_is_said(exchange: Exchange, options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        exchange.spawn(functions.watch, **options)  # type: ignore[call-overload]


def test_children_end_with_the_exchange(name: str, fifo: Path) -> None:
    with Exchange.start(name, [Instrument("ACME")], max_sessions=4) as exchange:
        (child,) = exchange.spawn(functions.rest, str(fifo), gateway=False)
        assert fifo.read_text() == "running"
        watch = Watch(child.pid)
    with watch:
        assert watch.living() == []
    assert child.wait() is None


def test_a_failure_nobody_waited_for_is_raised_at_the_end(name: str) -> None:
    exchange = Exchange.start(name, [Instrument("ACME")], max_sessions=4).__enter__()
    (child,) = exchange.spawn(functions.fail, "unseen")
    with Watch(child.pid) as watch:
        watch.expect_end()
    with pytest.raises(ProcessDied, match="ValueError: unseen"):
        exchange.__exit__(None)


def test_children_of_a_thread_outlive_it(exchange: Exchange, fifo: Path) -> None:
    thread = threading.Thread(target=exchange.spawn, args=(functions.rest, str(fifo)), kwargs={"gateway": False})
    thread.start()
    thread.join()
    child = exchange.children[-1]
    assert fifo.read_text() == "running"
    assert child.poll() is None
    child.terminate()
    child.wait(PATIENCE)


def test_with_more_processes_than_cores_the_matcher_does_not_spin(name: str, fifo: Path) -> None:
    with Exchange.start(name, [Instrument("ACME")], max_sessions=4) as exchange:
        assert exchange.status()["spins"] is (len(usable_cores()) > 1)
        exchange.spawn(functions.rest, gateway=False, count=len(usable_cores()))
        assert exchange.status()["spins"] is False
