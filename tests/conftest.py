"""What every test gets: options, skips with a reason, a clean environment, and a watch on /dev/shm."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARED_MEMORY = Path("/dev/shm")
RUN_VARIABLE = "SHM_EXCHANGE_TEST_RUN"
"""Inherited by every process a test starts, also by those that outlive their parents: so we know our files from those of another run."""

_COMPILER = pytest.StashKey["subprocess.Popen[bytes]"]()
_WITHOUT_KERNELS = ("tests", "domain", "layout", "protocol", "runtime", "shm", "sim")
"""Folders whose tests need few or none."""

_SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large]  # the first example may compile kernels
settings.register_profile("short", deadline=None, print_blob=True, max_examples=60, suppress_health_check=_SLOW_IS_FINE)
settings.register_profile("long", settings.get_profile("short"), max_examples=600)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the tests marked long, with more examples everywhere")
    parser.addoption("--require-services", action="store_true", help="a missing service fails its tests instead of skipping them")


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("--hypothesis-profile"):
        settings.load_profile("long" if config.getoption("--long") else "short")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin to compile the kernels; meanwhile run the tests that need none. Workers of xdist leave it to their controller."""
    if not hasattr(session.config, "workerinput") and not session.config.option.collectonly:
        session.config.stash[_COMPILER] = subprocess.Popen([sys.executable, "-m", "shm_exchange", "warm", "--quiet"], stdout=subprocess.DEVNULL)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if compiler := session.config.stash.get(_COMPILER, None):
        compiler.terminate()
        compiler.wait()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need no kernels come first; long ones get a patient watchdog."""
    items.sort(key=lambda item: item.path.parent.name not in _WITHOUT_KERNELS)
    for item in items:
        if item.get_closest_marker("long") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(600))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("long"):
        if not item.config.getoption("--long"):
            pytest.skip("long: runs with --long")
        if _seconds_left() <= 0:
            pytest.skip("long: LONG_BUDGET is spent")
    for mark in item.iter_markers("requires"):
        for service in mark.args:
            if problem := missing_service(service):
                decide = pytest.fail if item.config.getoption("--require-services") else pytest.skip
                decide(problem)


_STARTED = time.monotonic()


def _seconds_left() -> float:
    """What remains of LONG_BUDGET, in seconds from the start of the run; endless without it."""
    return float(os.environ.get("LONG_BUDGET") or "inf") - (time.monotonic() - _STARTED)


@cache
def missing_service(service: str) -> str:
    """Say in one line why `service` cannot be used here; nothing where it can."""
    trial = {
        "redis-server": ["redis-server", "--version"],
        "chromium": ["chromium", "--version"],
        "perf": ["perf", "stat", "-e", "cpu-clock", "true"],  # it may be there and not be allowed to count
    }[service]
    if not shutil.which(service):
        return f"needs {service}, which is not installed"
    if subprocess.run(trial, capture_output=True, check=False, timeout=60).returncode:
        return f"needs {service}: {' '.join(trial)} fails here"
    return ""


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[None]:
    """Nobody is anybody's child, everything started from here can be told by its environment, and journals go where nobody keeps any."""
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as state:
        patch.delenv("SHM_EXCHANGE_CHILD", raising=False)
        patch.setenv(RUN_VARIABLE, str(os.getpid()))
        patch.setenv("XDG_STATE_HOME", state)
        yield


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """A command that runs inside the test takes over the package's logger, and writes to a terminal that ends with it."""
    logger = logging.getLogger("shm_exchange")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


@pytest.fixture(scope="session", autouse=True)
def nothing_left_at_the_end(clean_environment: None) -> Iterator[None]:
    """Fixtures of modules and of the session clean up as well."""
    yield from _watch_shared_memory()


@pytest.fixture(autouse=True)
def nothing_left_in_shared_memory(nothing_left_at_the_end: None) -> Iterator[None]:
    """Fail a test that leaves a file in /dev/shm. It is set up after the fixtures of wider scope, so theirs may stay."""
    yield from _watch_shared_memory()


_BLAMED: set[str] = set()
"""Each file fails one test only."""


_ENDING_SECONDS = 2.0
"""Somebody else's exchange, just before its files go, has no holder by which we could tell that it is not ours."""


def _watch_shared_memory() -> Iterator[None]:
    before = _files()
    yield
    deadline = time.monotonic() + _ENDING_SECONDS
    while (left := _left_since(before)) and time.monotonic() < deadline:
        time.sleep(0.05)
    if not left:
        return
    _BLAMED.update(left)
    for name in left:
        if not _holders({name})[name]:
            (SHARED_MEMORY / name).unlink(missing_ok=True)
    pytest.fail(f"left in {SHARED_MEMORY}: {', '.join(left)}")


def _left_since(before: set[str]) -> list[str]:
    """Files that came since, and are still there. Somebody else may be testing at the same time: what only their processes hold is theirs."""
    if not (news := _files() - before - _BLAMED):
        return []
    holders = _holders(news)
    return sorted(name for name in news & _files() if not holders[name] or any(_is_ours(process) for process in holders[name]))


def _files() -> set[str]:
    """All exchanges of this user, but not the one on which kernels are compiled meanwhile."""
    ours = f"shm_exchange-{os.getuid()}-"
    return {path.name for path in SHARED_MEMORY.glob(f"{ours}*") if not path.name.startswith(f"{ours}warm-")}


def _holders(names: set[str]) -> dict[str, list[Path]]:
    """Who has which of the files open or mapped, by one look at every process."""
    holders: dict[str, list[Path]] = {name: [] for name in names}
    for process in Path("/proc").glob("[0-9]*"):
        for name in names & _held_by(process):
            holders[name].append(process)
    return holders


def _held_by(process: Path) -> set[str]:
    try:
        mapped = {line.rpartition(f" {SHARED_MEMORY}/")[2] for line in (process / "maps").read_text().splitlines()}
        return mapped | {handle.readlink().name for handle in (process / "fd").iterdir()}
    except OSError:  # it ended, or is not ours to look at
        return set()


def _is_ours(process: Path) -> bool:
    """Whether a process is this one, was started from here, or is a fork of one that was."""
    while process.name != "0":
        if process.name == str(os.getpid()):
            return True
        try:
            if f"{RUN_VARIABLE}={os.getpid()}\0".encode() in (process / "environ").read_bytes():
                return True
            process = Path("/proc") / (process / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            return False
    return False
