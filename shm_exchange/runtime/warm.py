"""Every kernel compiled once into the cache folder, before anything uses one: whoever starts or attaches anything asks for it.

A marker beside the cache says that it was done, for these very sources. Of several processes that find none, one compiles under a lock while the
others wait, so sixteen that start cold together take as long as one. (What a program of yours compiles beyond that, our kernels for types of its own,
is compiled one at a time as well: see `_jit`.) The compiler runs in a process of its own, `python -m
shm_exchange.supervisor.kernels`: the caller stays free of numba, or keeps its own numba as it was. That process says on standard output, a JSON line
each time, what it is about to compile.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shm_exchange._cache import cache_folder, source_times
from shm_exchange.domain.errors import ProcessDied
from shm_exchange.runtime.channel import Channel
from shm_exchange.runtime.launch import launch, memory_file, memory_text
from shm_exchange.runtime.pidfd import describe_exit
from shm_exchange.shm import reap

MODULE = "shm_exchange.supervisor.kernels"
LOCK_NAME = "warm.lock"
"""Beside the kernels: whoever compiles them holds it."""
Progress = Callable[[str, int, int], None]
"""Called with what is being compiled, how many groups of kernels are done, and how many there are; at least once a second."""

_log = logging.getLogger(__name__)
_QUIET_SECONDS = 1.0
_AGAIN_SECONDS = 10.0
_COMPILES = "SHM_EXCHANGE_COMPILES"


def ensure_warm(progress: Progress | None = None) -> bool:
    """Compile what is not in the cache yet; False when there was nothing to do. Raises ProcessDied when it cannot be compiled.

    Without a `progress` of the caller's, what goes on is said on standard error: at once on a terminal, elsewhere once it has taken a second.
    """
    if _COMPILES in os.environ or os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return False
    marker = _marker()
    if marker.exists():
        return False
    say = progress or _Lines().say
    with _alone(marker.with_name(LOCK_NAME), say):
        if marker.exists():
            return False
        started = time.monotonic()
        _compile(say)
        _log.info("kernels compiled into %s in %.1f s", marker.parent, time.monotonic() - started)
        marker.touch(mode=0o600)
    return True


def this_process_compiles() -> None:
    """Called by the compiler: it waits for nobody, and least of all for itself."""
    os.environ[_COMPILES] = "1"


def exchange_name(pid: int) -> str:
    """What the compiling process calls the tiny exchange on which it tries everything."""
    return f"warm-{pid}"


def _marker() -> Path:
    """Named by the list of what is compiled and the age of its sources; the folder is named by everything else that matters."""
    digest = hashlib.sha256((Path(__file__).parents[1] / "supervisor" / "kernels.py").read_bytes())
    return Path(cache_folder()) / f"warm-{digest.hexdigest()[:12]}-{source_times()}"


@contextmanager
def _alone(path: Path, say: Progress) -> Iterator[None]:
    """Hold the lock of the folder. It ends with this process, however that ends."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process compiles them, waiting for it", 0, 0)
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _compile(say: Progress) -> None:
    errors = memory_file("warm stderr")
    process = launch(MODULE, stdout=subprocess.PIPE, stderr=errors)
    try:
        assert process.stdout is not None
        with process.stdout as stdout:
            _follow(Channel(stdout.fileno(), -1), say)
        if code := process.wait():
            said = "".join(f"\n    {line}" for line in memory_text(errors).splitlines())
            raise ProcessDied(f"the kernels could not be compiled: {describe_exit(code)}; the last line says why, `shm-exchange doctor` more{said}")
    finally:
        process.kill()
        process.wait()
        reap(exchange_name(process.pid))
        os.close(errors)


def _follow(steps: Channel, say: Progress) -> None:
    """Pass on what the compiler says, and say it again every second that it says nothing."""
    step: dict[str, Any] | None = None
    while True:
        try:
            step = steps.receive(_QUIET_SECONDS)
        except TimeoutError:
            pass
        else:
            if step is None:
                return
        if step is not None:
            say(step["name"], step["done"], step["total"])


class _Lines:
    """Progress as plain lines on standard error: each step once, and again when it takes long."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._said = ("", 0.0)

    def say(self, name: str, done: int, total: int) -> None:
        seconds = time.monotonic() - self._started
        last, when = self._said
        if sys.stderr is None or (not self._terminal and seconds < when + _QUIET_SECONDS) or (name == last and seconds < when + _AGAIN_SECONDS):
            return
        self._said = (name, seconds)
        count = f"{done}/{total} " if total else ""
        sys.stderr.write(f"shm-exchange: compiling kernels, once for this machine: {count}{name} ({seconds:.0f} s)\n")
        sys.stderr.flush()
