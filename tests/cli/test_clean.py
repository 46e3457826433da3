"""`clean`: what goes, what stays, and that nobody's living exchange or foreign file is touched."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from shm_exchange._cache import build_name
from shm_exchange.cli.main import app
from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.instrument import Instrument
from shm_exchange.shm import attach, create, reap
from tests.cli.programs import files_of

OTHER = "0123456789abcdef"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test, with kernels of this build and of another one; and no exchanges but those of this test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("SHM_EXCHANGE_CACHE", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("shm_exchange.shm.exchanges", list)
    for name, size in ((build_name(), 100), (OTHER, 200)):
        (folder / name / "room").mkdir(parents=True)
        (folder / name / "room" / "kernel.nbc").write_bytes(b"x" * size)
    return folder


@pytest.fixture
def dead(name: str) -> Iterator[str]:
    """An exchange whose creator closed it without removing it."""
    create(ExchangeConfig(name, (Instrument("ACME"),), max_sessions=1)).close()
    yield name
    reap(name)


def clean(*arguments: str, said: str | None = None) -> Result:
    return CliRunner().invoke(app, ["clean", *arguments], input=said)


def test_all_removes_the_kernels_of_every_build(cache: Path) -> None:
    done = clean("--all", "--yes")
    assert done.exit_code == 0
    assert (
        f"compiled kernels: {cache / OTHER}, 200 B, of another build\ncompiled kernels: {cache / build_name()}, 100 B, of this build" in done.output
    )
    assert "removed the kernels of 2 builds, 300 B freed" in done.output
    assert list(cache.iterdir()) == []
    assert "nothing to clean" in clean("--all", "--yes").output


def test_without_all_kernels_stay(cache: Path) -> None:
    assert "nothing to clean" in clean("--yes").output
    assert len(list(cache.iterdir())) == 2


def test_kernels_that_are_being_compiled_stay(cache: Path) -> None:
    with (cache / OTHER / "warm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = clean("--all", "--yes", "--json")
    assert done.exit_code == 1
    assert "another process compiles there now" in done.stderr
    assert (cache / OTHER / "room" / "kernel.nbc").exists()
    assert json.loads(done.stdout) == {
        "removed": [],
        "kept": [],
        "kernels_removed": [str(cache / build_name())],
        "kernels_kept": [str(cache / OTHER)],
        "bytes": 100,
    }


def test_only_folders_that_a_build_made_are_removed(cache: Path, tmp_path: Path) -> None:
    (cache / "notes").mkdir()
    (cache / "0123456789ABCDEF").mkdir()
    (tmp_path / "precious" / "deep").mkdir(parents=True)
    (cache / "fedcba9876543210").symlink_to(tmp_path / "precious")
    stand_in = tmp_path / "shm_exchange-cache-77" / OTHER
    stand_in.mkdir(parents=True)
    assert clean("--all", "--yes").exit_code == 0
    assert sorted(path.name for path in cache.iterdir()) == ["0123456789ABCDEF", "fedcba9876543210", "notes"]
    assert (tmp_path / "precious" / "deep").is_dir()
    assert not stand_in.exists()


def test_it_asks_and_takes_no_for_an_answer(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shm_exchange.cli.clean.sys.stdin.isatty", lambda: True, raising=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shm_exchange.cli.clean._ask", lambda _count: (_ for _ in ()).throw(ConfigError("no")))
        assert clean("--all").exit_code == 1
    assert len(list(cache.iterdir())) == 2
    assert isinstance(clean("--all").exception, ConfigError)
    assert len(list(cache.iterdir())) == 2


def test_a_dead_exchange_goes_and_its_size_is_told(dead: str) -> None:
    size = sum(path.stat().st_size for path in files_of(dead) if path.suffix)
    done = clean(dead, "--yes", "--json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert (found["removed"], found["kept"], found["bytes"]) == ([dead], [], size)
    assert not files_of(dead)


def test_a_dead_exchange_whose_session_lives_stays_and_says_who_has_it(dead: str) -> None:
    with attach(dead, write=True, dead_ok=True) as reader:
        assert reader.try_lock(1)
        done = clean(dead, "--yes")
    assert done.exit_code == 1
    assert f"kept dead exchange {dead}: process {os.getpid()} (" in done.stderr
    assert files_of(dead)


def test_one_name_and_everything_contradict_each_other() -> None:
    assert clean("some", "--all").exit_code == 2
