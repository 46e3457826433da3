"""Kernels are compiled once, by one process, and everything that runs finds them compiled."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shm_exchange._cache import cache_folder
from shm_exchange.client import BookReplica, EventFeed, Gateway, MarketView
from shm_exchange.domain.errors import ProcessDied
from shm_exchange.domain.instrument import Instrument
from shm_exchange.runtime import warm
from shm_exchange.runtime.warm import ensure_warm
from shm_exchange.shm import exchanges, reap
from shm_exchange.supervisor import Exchange
from tests.supervisor import functions
from tests.supervisor.callers import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAKE = "tests.supervisor.compiler"
PROGRAM = f"""
import sys
from shm_exchange.runtime import warm
warm.MODULE = {FAKE!r}
print("ready", flush=True)
sys.stdin.read(1)
print(warm.ensure_warm(), "numba" in sys.modules)
"""


@pytest.fixture
def cold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder without kernels, and the log of the compiler that stands in."""
    monkeypatch.setenv("SHM_EXCHANGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COMPILER_LOG", str(tmp_path / "log"))
    monkeypatch.setattr(warm, "MODULE", FAKE)
    cache_folder.cache_clear()
    yield tmp_path / "log"
    cache_folder.cache_clear()


def test_of_many_that_start_cold_one_compiles(cold: Path) -> None:
    command = [sys.executable, "-c", PROGRAM]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()) for _ in range(8)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answers = sorted(process.communicate()[0] for process in processes)
    assert answers == ["False False\n"] * 7 + ["True False\n"]
    assert cold.read_text() == "run\n"


@pytest.mark.parametrize(
    "attach", [partial(Gateway.attach, session="cold"), partial(MarketView.attach, symbol="ACME"), EventFeed.attach, BookReplica.attach]
)
def test_whoever_only_attaches_compiles_as_well(exchange: Exchange, cold: Path, attach: Callable[[str], Gateway]) -> None:
    """One after the other: the second finds it done."""
    for _ in range(2):
        with attach(exchange.name):
            assert cold.read_text() == "run\n"


def test_what_was_written_anew_is_compiled_anew(cold: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ensure_warm()
    monkeypatch.setattr(warm, "source_times", lambda: "later")
    assert ensure_warm()
    assert not ensure_warm()
    assert cold.read_text() == "run\n" * 2


def test_progress_is_told(cold: Path, capfd: pytest.CaptureFixture[str]) -> None:
    steps: list[tuple[str, int, int]] = []
    assert ensure_warm(lambda *step: steps.append(step))
    assert [step for number, step in enumerate(steps) if step not in steps[:number]] == [("step 0", 0, 2), ("step 1", 1, 2), ("step 2", 2, 2)]
    assert not ensure_warm(lambda *step: steps.append(step))
    assert capfd.readouterr() == ("", "")


def test_long_compilation_is_said_in_plain_lines(cold: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lines = warm._Lines()
    lines.say("quick", 0, 2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(lines, "_started", lines._started - 1.5)
    for _ in range(3):
        lines.say("matching", 1, 2)
    assert capsys.readouterr().err == "shm-exchange: compiling kernels, once for this machine: 1/2 matching (2 s)\n"
    monkeypatch.setattr(lines, "_started", lines._started - 10)
    lines.say("matching", 1, 2)
    assert capsys.readouterr().err.count("\n") == 1


def test_a_failure_shows_the_traceback_and_is_tried_again(cold: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPILER_FAILS", "1")
    for _ in range(2):
        with pytest.raises(ProcessDied, match=r"the kernels could not be compiled: exit code 1(.*\n)*    RuntimeError: no compiler here$"):
            ensure_warm()
    monkeypatch.delenv("COMPILER_FAILS")
    assert ensure_warm()
    assert cold.read_text() == "run\n" * 3


def test_the_caller_keeps_its_own_numba(cold: Path) -> None:
    before = {name for name in sys.modules if name.startswith("numba")}
    assert ensure_warm()
    assert {name for name in sys.modules if name.startswith("numba")} == before


def test_interpreted_kernels_need_no_compiler(cold: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert not ensure_warm()
    assert not cold.exists()


def test_an_unwritable_home_is_no_obstacle(cold: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHM_EXCHANGE_CACHE", "/proc/none")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with pytest.warns(RuntimeWarning, match="cannot keep compiled kernels"):
        assert ensure_warm()
    cache_folder.cache_clear()
    with pytest.warns(RuntimeWarning, match="cannot keep compiled kernels"):
        assert not ensure_warm()


def test_an_interrupted_compiler_leaves_nothing(cold: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPILER_RESTS", "1")

    def interrupt(name: str, done: int, total: int) -> None:
        if name == "resting":
            raise KeyboardInterrupt

    removed: list[str] = []

    def watched(name: str) -> None:
        reap(name)
        removed.append(name)

    monkeypatch.setattr(warm, "reap", watched)
    with pytest.raises(KeyboardInterrupt):
        ensure_warm(interrupt)
    [own] = removed
    assert own not in {info.name for info in exchanges()}
    monkeypatch.delenv("COMPILER_RESTS")
    assert ensure_warm()


def test_nothing_is_compiled_after_the_tour(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a copy of the cache, where nobody else compiles meanwhile."""
    warm = Path(cache_folder())
    folder = tmp_path / warm.name
    shutil.copytree(warm, folder)
    monkeypatch.setenv("SHM_EXCHANGE_CACHE", str(tmp_path))
    before = _kernels(folder)
    assert len(before) > 20
    with Exchange.start(name, [Instrument("ACME"), Instrument("GLOBEX", tick_size="0.5")], max_sessions=4) as exchange:
        (child,) = exchange.spawn(functions.use_everything)
        child.wait(PATIENCE)
        assert exchange.verify().holds
    assert _kernels(folder) - before == set()


def _kernels(folder: Path) -> set[Path]:
    return set(folder.rglob("*.nbc"))
