"""The kernel says who is alive: byte locks end with their holder, and a forked child inherits nothing."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shm_exchange.domain.errors import ExchangeError, HandleClosed
from shm_exchange.domain.limits import SESSIONS_MAX
from shm_exchange.shm.locks import _REAPER_BYTE, ATTACH_BYTE, MATCHER_BYTE, SUPERVISOR_BYTE, LockFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.shm.children import Child

    Spawn = Callable[[str], Child]

HOLD = """
locks = LockFile(os.open(directory + "/locks", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
"""


def _open(directory: str, flags: int = os.O_RDWR | os.O_CREAT) -> LockFile:
    return LockFile(os.open(Path(directory) / "locks", flags | os.O_CLOEXEC, 0o600))


def test_the_bytes_of_the_roles_are_nobody_elses() -> None:
    roles = {MATCHER_BYTE, SUPERVISOR_BYTE, ATTACH_BYTE, _REAPER_BYTE}
    assert len(roles) == 4
    assert roles.isdisjoint(range(1, SESSIONS_MAX + 1))


def test_one_handle_a_byte(directory: str) -> None:
    with closing(_open(directory)) as one, closing(_open(directory)) as other:
        assert one.try_lock(3)
        assert not other.try_lock(3)
        assert not one.try_lock(3), "an OFD lock does not conflict with itself, so the handle must remember"
        assert other.try_lock(4)
        assert other.is_held(3)
        assert one.is_held(3)
        assert not one.is_held(5)
        one.release(3)
        assert not other.is_held(3)
        assert other.try_lock(3)


def test_closing_another_handle_of_the_file_releases_nothing(directory: str) -> None:
    with closing(_open(directory)) as one, closing(_open(directory)) as watcher:
        assert one.try_lock(3)
        _open(directory).close()
        assert watcher.is_held(3)


def test_closing_releases_everything(directory: str) -> None:
    with closing(_open(directory)) as watcher:
        one = _open(directory)
        assert one.try_lock(3)
        one.close()
        one.close()
        assert not watcher.is_held(3)
        with pytest.raises(HandleClosed, match="attach again"):
            one.try_lock(3)


def test_a_forgotten_handle_releases_everything(directory: str) -> None:
    with closing(_open(directory)) as watcher:
        one = _open(directory)
        assert one.try_lock(3)
        del one
        assert not watcher.is_held(3)


def test_a_reader_can_ask_but_not_lock(directory: str) -> None:
    with closing(_open(directory)) as one, closing(_open(directory, os.O_RDONLY)) as reader:
        assert one.try_lock(3)
        assert reader.is_held(3)
        with pytest.raises(ExchangeError, match="write=True"):
            reader.try_lock(4)


def test_waiting_for_oneself_is_refused(directory: str) -> None:
    with closing(_open(directory)) as one:
        one.lock(3)
        with pytest.raises(ValueError, match="would never end"):
            one.lock(3)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_locks_vanish_with_their_holder(spawn: Spawn, directory: str, number: signal.Signals) -> None:
    with closing(_open(directory)) as watcher:
        child = spawn(HOLD + "locks.lock(3); say('locked'); wait()")
        assert child.hear() == "locked"
        assert watcher.is_held(3)
        child.process.send_signal(number)
        child.process.wait()
        assert not watcher.is_held(3)


def test_a_stopped_holder_keeps_its_lock(spawn: Spawn, directory: str) -> None:
    with closing(_open(directory)) as watcher:
        child = spawn(HOLD + "locks.lock(3); say('locked'); wait(); say('still here')")
        assert child.hear() == "locked"
        child.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, child.process.pid, os.WSTOPPED)
        assert not watcher.try_lock(3)
        child.process.send_signal(signal.SIGCONT)
        child.go_on()
        assert child.hear() == "still here"


def test_waiting_ends_when_the_holder_dies(spawn: Spawn, directory: str) -> None:
    holder = spawn(HOLD + "locks.lock(3); say('locked'); wait()")
    assert holder.hear() == "locked"
    waiter = spawn(HOLD + "say(locks.try_lock(3)); locks.lock(3); say('mine')")
    assert waiter.hear() == "False"
    holder.kill()
    assert waiter.hear() == "mine"


def test_a_forked_child_does_not_keep_the_lock(spawn: Spawn, directory: str) -> None:
    program = """
    locks.lock(3)
    child = os.fork()
    if child == 0:
        try:
            locks.try_lock(4)
        except HandleClosed as error:
            say("child", os.getpid(), "poisoned by", str(os.getppid()) in str(error))
        wait()
        os._exit(0)
    os.waitpid(child, 0)
    """
    with closing(_open(directory)) as watcher:
        parent = spawn(HOLD + program.replace("\n    ", "\n"))
        answer = parent.hear().split()
        assert answer[2:] == ["poisoned", "by", "True"]
        assert watcher.is_held(3), "poisoning the child must not unlock what the parent holds"
        parent.kill()
        os.kill(int(answer[1]), 0)
        assert not watcher.is_held(3), "the child lives, the lock must not"
        parent.go_on()
        assert parent.hear() == ""


def test_another_program_does_not_inherit_the_lock(spawn: Spawn, directory: str) -> None:
    program = "locks.lock(3); import subprocess; p = subprocess.Popen(['cat'], close_fds=False); say(p.pid); wait()"
    with closing(_open(directory)) as watcher:
        parent = spawn(HOLD + program)
        assert parent.hear()
        parent.kill()
        assert not watcher.is_held(3)


def test_a_reaper_locks_all_or_nothing(directory: str) -> None:
    with closing(_open(directory)) as one, closing(_open(directory)) as reaper:
        assert one.try_lock(SESSIONS_MAX)
        assert not reaper.try_lock_all()
        assert not one.is_held(5)
        one.release(SESSIONS_MAX)
        assert reaper.try_lock_all()
        assert not one.is_held(SUPERVISOR_BYTE), "a reaper at work is nobody's life"


def test_a_reaper_is_waited_for(spawn: Spawn, directory: str) -> None:
    with closing(_open(directory)) as reaper:
        assert reaper.try_lock_all()
        child = spawn(HOLD + "say('trying'); say(locks.try_lock(3)); wait()")
        assert child.hear() == "trying"
        _wait_until_blocked(Path(directory) / "locks")
        reaper.close()
        assert child.hear() == "True"


def _wait_until_blocked(path: Path) -> None:
    """Until the kernel lists somebody who waits for a lock of the file."""
    inode = f":{path.stat().st_ino} "
    while not any("->" in line and inode in line for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()):
        os.sched_yield()
