"""Who is there, who is dead, and that only the dead are removed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shm_exchange.domain.errors import ConfigError
from shm_exchange.shm import MATCHER_BYTE, Segment, attach, create, exchanges, reap
from shm_exchange.shm.locks import LockFile
from shm_exchange.shm.root import Root, data_path, root_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from shm_exchange.domain.config import ExchangeConfig
    from tests.shm.children import Child

    Spawn = Callable[[str], Child]

CREATE = "segment = create(config, directory); say('created'); wait()"


def test_exchanges_tells_the_living_from_the_dead(config: ExchangeConfig, name: str, directory: str, spawn: Spawn) -> None:
    assert exchanges(directory) == []
    child = spawn(CREATE)
    assert child.hear() == "created"
    create(replace(config, name="dead"), directory).close()
    data_path("orphan", 7, directory).write_bytes(b"12345")
    root_path("empty", directory).touch()
    for stranger in ("shm_exchange-x", "other", "shm_exchange-0-bad.name.7", "shm_exchange-0-"):
        (Path(directory) / stranger).touch()
    found = {info.name: info for info in exchanges(directory)}
    assert set(found) == {name, "dead", "orphan", "empty"}
    alive = found[name]
    assert (alive.is_alive, alive.supervisor_alive, alive.matcher_alive, alive.creator_pid) == (True, True, False, child.process.pid)
    assert alive.created_ns > found["empty"].created_ns == 0
    assert not found["dead"].is_alive
    assert found["dead"].size == alive.size > 100_000
    assert (found["orphan"].size, found["orphan"].is_alive) == (5, False)


def test_a_matcher_alone_is_seen(config: ExchangeConfig, name: str, directory: str) -> None:
    created = create(config, directory)
    with attach(name, directory, write=True) as matcher:
        assert matcher.try_lock(MATCHER_BYTE)
        created.close()
        (info,) = exchanges(directory)
        assert (info.supervisor_alive, info.matcher_alive, info.is_alive) == (False, True, True)


def test_the_living_are_not_reaped(config: ExchangeConfig, name: str, directory: str, spawn: Spawn) -> None:
    child = spawn(CREATE)
    assert child.hear() == "created"
    gateway = attach(name, directory, write=True)
    assert gateway.try_lock(2)
    assert not reap(name, directory)
    child.kill()
    assert not reap(name, directory), "a gateway may still read its reports"
    assert gateway.array("config")[0].max_sessions == 4
    assert gateway.is_current
    gateway.close()
    assert reap(name, directory)
    assert list(Path(directory).iterdir()) == []
    assert not reap(name, directory)


def test_readers_do_not_keep_the_dead(config: ExchangeConfig, name: str, directory: str) -> None:
    create(config, directory).close()
    with attach(name, directory, dead_ok=True) as reader:
        assert reap(name, directory)
        assert not reader.is_current
        assert reader.array("config")[0].max_sessions == 4


def test_data_without_a_root_is_reaped(name: str, directory: str) -> None:
    other = data_path("other", 3, directory)
    for path in (data_path(name, 1, directory), data_path(name, 2, directory), other):
        path.write_bytes(b"x")
    assert reap(name, directory)
    assert list(Path(directory).iterdir()) == [other]


def test_an_empty_root_is_reaped(name: str, directory: str) -> None:
    root_path(name, directory).touch()
    assert reap(name, directory)
    assert list(Path(directory).iterdir()) == []


def test_reaping_takes_names_only(directory: str) -> None:
    with pytest.raises(ConfigError, match="exchange name"):
        reap("../../etc/*", directory)


def test_a_root_replaced_under_the_reaper_is_looked_at_again(
    config: ExchangeConfig, name: str, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its open and its lock the reaper sleeps, and a new exchange takes the name."""
    create(config, directory).close()
    lock_all = LockFile.try_lock_all
    successor: list[Segment] = []
    created = iter([True])

    def late(file: LockFile) -> bool:
        if next(created, False):
            successor.append(create(config, directory))
        return lock_all(file)

    monkeypatch.setattr(LockFile, "try_lock_all", late)
    assert not reap(name, directory)
    assert successor[0].is_current
    successor[0].destroy()


def test_a_creator_waits_for_a_reaper(config: ExchangeConfig, name: str, directory: str, spawn: Spawn) -> None:
    """Otherwise `list` or `clean` at the wrong moment would make a start fail."""
    create(config, directory).close()
    reaper = Root(name, directory, 2)
    assert reaper.locks.try_lock_all()
    child = spawn("say('trying'); s = create(config, directory); say('created'); wait()")
    assert child.hear() == "trying"
    reaper.remove_files()
    reaper.close()
    assert child.hear() == "created"


@pytest.mark.parametrize("round_", range(3))
def test_creators_and_reapers_at_once(name: str, directory: str, spawn: Spawn, round_: int) -> None:
    """Whatever the order: whoever has created is never reaped while alive."""
    creator = """
    say("ready"); wait()
    for _ in range(40):
        with create(config, directory) as segment:
            assert segment.is_current
            with attach(name, directory) as attached:
                assert attached.generation == segment.generation
        # dies without cleaning up
    say("good")
    """
    reaper = """
    say("ready"); wait()
    for _ in range(400):
        reap(name, directory); exchanges(directory)
    say("good")
    """
    children = [spawn(creator), spawn(reaper), spawn(reaper)]
    assert [child.hear() for child in children] == ["ready"] * 3
    for child in children:
        child.go_on()
    assert [child.hear() for child in children] == ["good"] * 3
    reap(name, directory)
    assert list(Path(directory).iterdir()) == []
