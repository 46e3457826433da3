"""The screen on real exchanges: keys and sizes, a matcher that is killed or stopped, an exchange that ends and comes back, and no screen at all."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
from textual.pilot import Pilot
from typer.testing import CliRunner, Result

from shm_exchange.cli.main import app
from shm_exchange.cli.top import command
from shm_exchange.cli.top.probe import Probe
from shm_exchange.cli.top.reading import Reader
from shm_exchange.cli.top.screen import Sheet, TopScreen
from shm_exchange.client import Gateway
from shm_exchange.domain.enums import Side
from shm_exchange.domain.errors import ConfigError, ExchangeNotFound, MissingExtra
from shm_exchange.supervisor.supervisor import Supervisor
from tests.cli.programs import PATIENCE, environment
from tests.litmus.exchanges import running, small_config, take
from tests.litmus.waiting import await_that, state_of

Scene = Callable[[TopScreen, Pilot[None]], Coroutine[Any, Any, None]]


def trade(alice: Gateway, bob: Gateway) -> None:
    """One trade of 10 at 100.05 in ACME; 40 stay offered there, 20 are bid at 99.95; in FINE 0.5 are bid."""
    alice.limit("ACME", Side.SELL, "100.05", 50)
    alice.limit("ACME", Side.BUY, "99.95", 20)
    alice.limit("FINE", Side.BUY, "7.125", "0.5")
    take(alice, 3)
    bob.limit("ACME", Side.BUY, "100.05", 10, client_order_id=1)
    take(bob, 2)
    take(alice, 1)


@pytest.fixture(scope="module")
def exchange() -> Iterator[Supervisor]:
    with running() as supervisor, Gateway.attach(supervisor.name, session="alice") as alice, Gateway.attach(supervisor.name, session="bob") as bob:
        trade(alice, bob)
        yield supervisor


def play(name: str, scene: Scene, size: tuple[int, int] = (80, 24), *, with_probe: bool = False) -> None:
    """Act a scene on a screen of that size."""

    async def act() -> None:
        screen = TopScreen(reader, probe)
        async with screen.run_test(size=size) as pilot:
            await until(screen, pilot, "shm-exchange top")
            await scene(screen, pilot)

    reader, probe = Reader(name), Probe(name) if with_probe else None
    try:
        asyncio.run(act())
    finally:
        reader.close()
        if probe is not None:
            probe.close()


def text(screen: TopScreen, panel: str = "") -> str:
    """What stands on the screen, or in one of its panels."""
    return "\n".join(line.plain for name, shown in screen._panels.items() if panel in ("", name) and shown.display for line in shown._lines)


async def until(screen: TopScreen, pilot: Pilot[None], words: str, panel: str = "") -> None:
    """Watch until the words stand there."""
    for _ in range(int(PATIENCE / 0.02)):
        if words in text(screen, panel):
            return
        await pilot.pause(0.02)
    raise AssertionError(f"{words!r} never came: {text(screen)}")


@pytest.mark.parametrize("size", [(80, 24), (140, 50)])
def test_a_running_exchange(exchange: Supervisor, size: tuple[int, int]) -> None:
    async def scene(screen: TopScreen, pilot: Pilot[None]) -> None:
        await until(screen, pilot, "commands/s")
        await until(screen, pilot, "%", "crowd")
        assert "● running" in text(screen, "title")
        for name in ("supervisor", "matcher", "alice", "bob"):
            assert name in text(screen, "crowd")
        assert str(exchange.matcher.pid) in text(screen, "crowd")
        assert text(screen, "ladder").splitlines()[1].split()[1:-1] == ["20", "99.95", "│", "100.05", "40"]
        assert text(screen, "tape").splitlines()[1].split()[1:] == ["buy", "100.05", "10"]
        assert ("FINE" in text(screen, "tops")) == (size == (140, 50))
        assert all(len(line) <= size[0] for line in text(screen).splitlines())
        assert max(panel.region.bottom for panel in screen._panels.values() if panel.display) < size[1]

    play(exchange.name, scene, size)


def test_keys(exchange: Supervisor) -> None:
    async def scene(screen: TopScreen, pilot: Pilot[None]) -> None:
        for key, symbol in (("right", "FINE"), ("tab", "ACME"), ("left", "FINE"), ("shift+tab", "ACME"), ("right", "FINE")):
            await pilot.press(key)
            await until(screen, pilot, symbol, "ladder")
        assert "7.125" in text(screen, "ladder")
        assert "none seen" in text(screen, "tape")
        await pilot.press("a")
        await until(screen, pilot, "100.05", "tape")
        await pilot.press("p")
        await until(screen, pilot, "paused", "title")
        kept = screen.look
        await pilot.press("left")
        await until(screen, pilot, "99.95", "ladder")
        screen.frame()
        assert screen.look is kept
        await pilot.press("p")
        assert screen.look is not kept
        for key in ("question_mark", "w"):
            await pilot.press(key)
            assert isinstance(screen.screen, Sheet)
            await pilot.press("escape")
            assert not isinstance(screen.screen, Sheet)
        await pilot.press("q")
        assert screen.return_code == 0

    play(exchange.name, scene)


def test_more_participants_than_lines_scroll(exchange: Supervisor) -> None:
    async def scene(screen: TopScreen, pilot: Pilot[None]) -> None:
        await until(screen, pilot, "more, ↑ ↓", "crowd")
        await pilot.press("down", "down", "down")
        await until(screen, pilot, "bob", "crowd")
        assert "supervisor" not in text(screen, "crowd")
        await pilot.press(*["up"] * 5)
        await until(screen, pilot, "supervisor", "crowd")

    gateways = [Gateway.attach(exchange.name, session=f"more{number}") for number in range(4)]
    play(exchange.name, scene, (80, 14))
    for gateway in gateways:
        gateway.close()


def test_the_probe_measures_and_leaves_the_book_alone(exchange: Supervisor) -> None:
    async def scene(screen: TopScreen, pilot: Pilot[None]) -> None:
        await until(screen, pilot, "p50", "headline")
        await until(screen, pilot, "top-probe", "crowd")

    events = int(exchange.segment.array("matcher")[0].event_tail)
    play(exchange.name, scene, with_probe=True)
    play(exchange.name, scene, with_probe=True)  # in the same lane
    assert int(exchange.segment.array("matcher")[0].event_tail) == events


def test_a_stopped_matcher_is_named_and_its_lanes_are_counted(exchange: Supervisor) -> None:
    async def scene(screen: TopScreen, pilot: Pilot[None]) -> None:
        os.kill(pid, signal.SIGSTOP)
        await_that(lambda: state_of(pid) == "T", "it stops")
        for _ in range(3):
            alice.cancel(1)
        await until(screen, pilot, "✖ matcher stopped", "title")
        await until(screen, pilot, f"kill -CONT {pid}", "alarms")
        await until(screen, pilot, f"{3 / 64:.0%}", "crowd")
        os.kill(pid, signal.SIGCONT)
        await until(screen, pilot, "● running", "title")
        await until(screen, pilot, "no warnings" if len(os.sched_getaffinity(0)) > 1 else "share", "alarms")

    pid = exchange.matcher.pid
    with Gateway.attach(exchange.name, session="stopping") as alice:
        try:
            play(exchange.name, scene)
        finally:
            os.kill(pid, signal.SIGCONT)
        take(alice, 3)


def test_a_killed_matcher_leaves_its_last_true_state() -> None:
    async def scene(screen: TopScreen, pilot: Pilot[None]) -> None:
        await until(screen, pilot, "● running", "title")
        os.kill(supervisor.matcher.pid, signal.SIGKILL)
        await_that(lambda: not supervisor.segment.matcher_alive, "it dies")
        for _ in range(16):
            alice.limit("ACME", Side.BUY, "99.95", 1)
        await until(screen, pilot, "✖ dead", "title")
        last_true_state(text(screen))

    def last_true_state(shown: str) -> None:
        assert f"the matcher (process {supervisor.matcher.pid}) is dead: this is its last true state" in " ".join(shown.split())
        for words in (["20", "99.95", "│", "100.05", "40"], ["buy", "100.05", "10"], ["25%"]):
            assert any(" ".join(words) in " ".join(line.split()) for line in shown.splitlines()), (words, shown)

    with Supervisor(small_config()) as supervisor:
        alice, bob = (Gateway.attach(supervisor.name, session=session) for session in ("alice", "bob"))
        trade(alice, bob)
        play(supervisor.name, scene)
        once = invoke("top", supervisor.name, "--once")
        assert once.exit_code == 0
        last_true_state(once.output.replace("ACME ", ""))
        found = json.loads(invoke("top", supervisor.name, "--json").output)
        lane = next(each["lane"] for each in found["participants"] if each["name"] == "alice")
        assert (found["state"], lane["waiting"], lane["used"], found["rates"]["commands"]) == ("dead", 16, 0.25, None)
        assert found["books"]["ACME"]["bids"] == [["99.95", "20"]]
        assert "is dead" in found["warnings"][0]["text"]
        with pytest.raises(ExchangeNotFound, match="--probe needs a matcher"):
            invoke("top", supervisor.name, "--once", "--probe")
        for gateway in (alice, bob):
            gateway.close()


@pytest.mark.long
def test_an_exchange_that_ends_is_kept_and_its_successor_followed() -> None:
    async def scene(screen: TopScreen, pilot: Pilot[None]) -> None:
        await until(screen, pilot, "99.95", "ladder")
        supervisor.stop()
        await until(screen, pilot, "✖ gone", "title")
        assert "99.95" in text(screen, "ladder")
        with Supervisor(supervisor.segment.config):
            await until(screen, pilot, "● running", "title")
            await until(screen, pilot, "the book is empty", "ladder")

    with Supervisor(small_config()) as supervisor:
        alice, bob = (Gateway.attach(supervisor.name, session=session) for session in ("alice", "bob"))
        trade(alice, bob)
        for gateway in (alice, bob):
            gateway.close()
        play(supervisor.name, scene)


def test_the_tape_takes_the_newest_and_counts_what_it_passed_by(exchange: Supervisor) -> None:
    with Reader(exchange.name) as reader, Gateway.attach(exchange.name, session="busy") as busy:
        reader.read()
        seen = int(exchange.segment.array("matcher")[0].event_tail)
        for _ in range(150):
            busy.cancel(busy.limit("FINE", Side.BUY, "1", 1))
            take(busy, 2)
        busy.limit("FINE", Side.SELL, "7.125", "0.2")
        take(busy, 2)
        passed = int(exchange.segment.array("matcher")[0].event_tail) - seen - 256
        look = reader.read("FINE")
        assert (look.events_unseen, passed > 0) == (passed, True)
        newest = look.trades["FINE"][0]
        assert (newest.symbol, newest.side, str(newest.price), str(newest.quantity)) == ("FINE", Side.SELL, "7.125", "0.2")
        assert look.trades[None][0] == newest
        busy.mass_cancel()
        take(busy, 1)


def invoke(*arguments: str) -> Result:
    """Within this process, and with its exceptions."""
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_one_object_tells_all(exchange: Supervisor) -> None:
    found = json.loads(invoke("top", exchange.name, "--json", "--probe").output)
    assert (found["name"], found["state"], found["rates"]["busy"] is None) == (exchange.name, "running", False)
    assert found["books"]["ACME"] | {"version": 0, "event_number": 0, "time_ns": 0} == {
        "bids": [["99.95", "20"]],
        "asks": [["100.05", "40"]],
        "last": ["100.05", "10"],
        "version": 0,
        "event_number": 0,
        "time_ns": 0,
    }
    assert [(each["side"], each["price"], each["quantity"]) for each in found["trades"] if each["symbol"] == "ACME"] == [("BUY", "100.05", "10")]
    matcher = next(each for each in found["participants"] if each["role"] == "matcher")
    assert (matcher["pid"], matcher["alive"]) == (exchange.matcher.pid, True)
    assert matcher["cpu"] is not None
    assert found["round_trip_ns"]["measured"] > 0


def test_without_a_terminal_there_is_a_line_and_a_plain_picture(exchange: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no terminal to draw on; use --once"):
        invoke("top", exchange.name)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    with pytest.raises(ConfigError, match="'dumb' cannot be drawn on; use --once"):
        command._check_terminal()
    assert "\x1b" not in (plain := invoke("top", exchange.name, "--once").output)
    assert "● running" in plain


def test_without_textual_one_line_says_what_to_install(exchange: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_check_terminal", lambda: None)
    monkeypatch.delitem(sys.modules, "shm_exchange.cli.top.screen")
    for name in [name for name in sys.modules if name.partition(".")[0] == "textual"]:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "textual.app", None)
    with pytest.raises(MissingExtra, match=r"pip install 'shm-exchange\[top\]'"):
        invoke("top", exchange.name)


@contextmanager
def on_a_terminal(exchange: Supervisor) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The program on a terminal of its own, once it has drawn the book; with the terminal's other end."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "shm_exchange", "top", exchange.name],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment(TERM="xterm-256color", NO_COLOR="1", LINES="24"),
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 (one call; makes it the terminal that hangs up)
    ) as program:
        os.close(slave)
        seen = b""
        while b"99.95" not in seen:
            seen += os.read(master, 65_536)
        assert b"[38;" not in seen  # NO_COLOR
        yield program, master


def rest_of(master: int) -> bytes:
    """What is drawn until the program lets the terminal go."""
    seen = b""
    while True:
        try:
            seen += os.read(master, 65_536)
        except OSError:  # the other end is closed
            return seen


def test_on_a_real_terminal(exchange: Supervisor) -> None:
    with on_a_terminal(exchange) as (program, master):
        os.write(master, b"q")
        assert b"[?1049l" in rest_of(master)  # the screen before it is back
        assert program.wait(PATIENCE) == 0
        os.close(master)


def test_asked_to_end_it_puts_the_terminal_back(exchange: Supervisor) -> None:
    with on_a_terminal(exchange) as (program, master):
        program.terminate()
        assert b"[?1049l" in rest_of(master)
        assert program.wait(PATIENCE) == 128 + signal.SIGTERM
        os.close(master)


def test_without_its_terminal_it_ends(exchange: Supervisor) -> None:
    with on_a_terminal(exchange) as (program, master):
        os.close(master)
        assert program.wait(PATIENCE) == 128 + signal.SIGHUP
