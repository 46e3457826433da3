"""One exchange a name, all of its memory or none, and nothing left of a vain attempt."""

from __future__ import annotations

import errno
import os
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shm_exchange.domain.errors import ExchangeRunning, NotEnoughMemory
from shm_exchange.layout.regions import layout_of
from shm_exchange.shm import MATCHER_BYTE, attach, create, exchanges, segment, space
from shm_exchange.shm.locks import LockFile
from shm_exchange.shm.root import Root, data_files, data_path, root_path, time_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shm_exchange.domain.config import ExchangeConfig
    from tests.shm.children import Child

    Spawn = Callable[[str], Child]

CREATE = """
say("ready"); wait()
try:
    segment = create(config, directory)
except ExchangeRunning as error:
    say("refused", error)
else:
    say("created", segment.generation)
wait()
"""


def test_a_living_exchange_keeps_its_name(config: ExchangeConfig, directory: str, spawn: Spawn) -> None:
    child = spawn(CREATE)
    assert child.hear() == "ready"
    child.go_on()
    assert child.hear().startswith("created")
    with pytest.raises(ExchangeRunning) as caught:
        create(config, directory)
    text = str(caught.value)
    assert f"process {child.process.pid}, started 20" in text
    assert f"shm-exchange stop {config.name}" in text
    assert "another name" in text
    with attach(config.name, directory) as attached:
        assert attached.supervisor_alive


def test_the_matcher_of_a_dead_supervisor_keeps_the_name(config: ExchangeConfig, name: str, directory: str) -> None:
    first = create(config, directory)
    with attach(name, directory, write=True) as matcher:
        assert matcher.try_lock(MATCHER_BYTE)
        first.close()
        with pytest.raises(ExchangeRunning, match="its matcher lives"):
            create(config, directory)
        assert matcher.is_current
    create(config, directory).close()


def test_a_creator_at_work_keeps_the_name(config: ExchangeConfig, directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[str] = []

    def meanwhile(*_: object) -> None:
        with pytest.raises(ExchangeRunning) as caught:
            create(config, directory)
        refused.append(str(caught.value))

    monkeypatch.setattr(segment, "check_room", meanwhile)
    create(config, directory).destroy()
    assert len(refused) == 1
    assert "just being started" in refused[0]


def test_an_exchange_that_is_just_gone_does_not_keep_the_name(config: ExchangeConfig, directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the open and the lock the predecessor removes its files, and still holds its lock."""
    first = create(config, directory)
    with closing(Root(config.name, directory, os.O_RDWR)) as old, monkeypatch.context() as patch:
        try_lock = LockFile.try_lock

        def late(file: LockFile, byte: int) -> bool:
            patch.undo()
            old.remove_files()
            return try_lock(file, byte)

        patch.setattr(LockFile, "try_lock", late)
        with create(config, directory) as second:
            assert second.is_current
            assert not first.is_current
            assert first.supervisor_alive
    first.close()


@pytest.mark.parametrize("predecessor", ["none", "killed", "empty root", "orphans"])
def test_of_racing_creators_exactly_one_wins(config: ExchangeConfig, name: str, directory: str, spawn: Spawn, predecessor: str) -> None:
    if predecessor == "killed":
        create(config, directory).close()
    if predecessor == "empty root":
        root_path(name, directory).touch()
    if predecessor == "orphans":
        data_path(name, 1, directory).write_bytes(b"x")
    children = [spawn(CREATE) for _ in range(6)]
    assert [child.hear() for child in children] == ["ready"] * 6
    for child in children:
        child.go_on()
    words = [child.hear() for child in children]
    (winner,) = [word.split()[1] for word in words if word.startswith("created")]
    assert sum(word.startswith("refused") for word in words) == 5
    assert data_files(name, directory) == [data_path(name, int(winner), directory)]
    with attach(name, directory) as attached:
        assert attached.generation == int(winner)


@pytest.mark.parametrize("step", ["check_room", "new_file", "write_config", "read_config"])
def test_a_creator_killed_at_any_step_is_succeeded(config: ExchangeConfig, name: str, directory: str, spawn: Spawn, step: str) -> None:
    program = """
    from shm_exchange.shm import segment
    step = getattr(segment, STEP)
    def last(*arguments):
        step(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(segment, STEP, last)
    create(config, directory)
    """
    assert spawn(program.replace("STEP", repr(step))).end() == -9
    assert root_path(name, directory).exists()
    with create(config, directory) as created, attach(name, directory) as attached:
        assert attached.generation == created.generation
        assert len(list(Path(directory).iterdir())) == 2


@pytest.fixture
def small(directory: str) -> Iterator[str]:
    """A file system of one megabyte."""
    path = Path(directory) / "small"
    path.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path], capture_output=True, text=True, check=False)
    if mount.returncode:
        pytest.skip(f"cannot mount a small file system: {mount.stderr.strip()}")
    yield str(path)
    subprocess.run(["umount", "--lazy", path], check=True)


def _text(config: ExchangeConfig, directory: str) -> str:
    with pytest.raises(NotEnoughMemory) as caught:
        create(config, directory)
    return str(caught.value)


def test_what_does_not_fit_is_refused_with_the_figures(config: ExchangeConfig, small: str) -> None:
    large = replace(config, lane_capacity=1 << 16, event_capacity=1 << 16)
    text = _text(large, small)
    assert f"needs {layout_of(large).size + 4096:,} bytes in {small}, {1 << 20:,} are free" in text
    assert "most goes to lane: 16,777,216 bytes" in text
    assert f"mount -o remount,size=41m {small}" in text
    assert "docker run --shm-size=41m" in text
    assert list(Path(small).iterdir()) == []
    with create(config, small) as created:
        created.destroy()


def test_room_that_vanishes_after_the_look_is_refused_too(config: ExchangeConfig, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "check_room", lambda *_: None)
    _text(replace(config, lane_capacity=1 << 14), small)
    assert list(Path(small).iterdir()) == []


def test_memory_is_taken_before_it_is_used(small: str) -> None:
    """A sparse file would be a bus error at some later store."""
    with pytest.raises(OSError, match="No space left"):
        space.new_file(Path(small) / "data", 2 << 20)


def test_a_file_system_that_is_quite_full(config: ExchangeConfig, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with (Path(small) / "filler").open("wb") as filler:
        os.posix_fallocate(filler.fileno(), 0, 1 << 20)
    assert "0 are free" in _text(config, small)
    monkeypatch.setattr(segment, "check_room", lambda *_: None)
    assert "0 are free" in _text(config, small)
    assert [path.name for path in Path(small).iterdir()] == ["filler"]


def test_a_file_system_without_a_limit_has_room(directory: str, config: ExchangeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    unlimited = os.statvfs_result((4096, 4096, 0, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: unlimited)
    create(config, directory).destroy()


@pytest.mark.parametrize("step", ["check_room", "new_file", "write_config", "read_config", "Segment"])
def test_nothing_is_left_of_a_vain_attempt(config: ExchangeConfig, directory: str, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    before = len(list(Path("/proc/self/fd").iterdir()))
    monkeypatch.setattr(segment, step, fail)
    with pytest.raises(OSError, match="broken"):
        create(config, directory)
    assert list(Path(directory).iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_an_unpublished_exchange_is_taken_back(config: ExchangeConfig, directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Root, "publish", interrupted)
    with pytest.raises(KeyboardInterrupt):
        create(config, directory)
    assert list(Path(directory).iterdir()) == []
    assert exchanges(directory) == []


def test_absurd_moments_are_no_error() -> None:
    assert time_text(0).startswith(("1970", "1969"))
    assert time_text(-(1 << 200)) == "an unknown time"


def test_a_missing_directory_is_said_with_its_cure(config: ExchangeConfig, tmp_path: Path) -> None:
    with pytest.raises(NotEnoughMemory, match="mount -t tmpfs"):
        create(config, tmp_path / "missing")
