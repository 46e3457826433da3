"""What attaching refuses, and in which words: the missing, the dead, the half made, another version, the damaged and the hostile."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from shm_exchange.domain.errors import ConfigError, ExchangeNotFound, LayoutMismatch
from shm_exchange.layout.digest import LAYOUT_VERSION, layout_digest
from shm_exchange.layout.headers import CONFIG, INSTRUMENT, ROOT
from shm_exchange.layout.regions import INSTRUMENTS_OFFSET
from shm_exchange.shm import MATCHER_BYTE, Segment, attach, create
from shm_exchange.shm.root import data_files, root_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from shm_exchange.domain.config import ExchangeConfig
    from tests.shm.children import Child

    Spawn = Callable[[str], Child]


def test_nobody_of_that_name(config: ExchangeConfig, directory: str) -> None:
    with pytest.raises(ExchangeNotFound, match="none is running"):
        attach(config.name, directory)
    with create(replace(config, name="first-light"), directory), pytest.raises(ExchangeNotFound, match=r"did you mean 'first-light'\?.*running are"):
        attach("first-ligth", directory)
    with pytest.raises(ConfigError, match="exchange name"):
        attach("../etc/passwd", directory)


def test_a_dead_exchange_is_not_attached_except_to_look(config: ExchangeConfig, name: str, directory: str) -> None:
    create(config, directory).close()
    with pytest.raises(ExchangeNotFound, match=r"dead.*shm-exchange clean"):
        attach(name, directory)
    with attach(name, directory, dead_ok=True) as left:
        assert not left.supervisor_alive
        assert not left.matcher_alive
        assert left.config == config


def test_an_exchange_without_its_supervisor_lives_by_its_matcher(config: ExchangeConfig, name: str, directory: str) -> None:
    created = create(config, directory)
    with attach(name, directory, write=True) as matcher:
        assert matcher.try_lock(MATCHER_BYTE)
        created.close()
        with attach(name, directory) as reader:
            assert (reader.supervisor_alive, reader.matcher_alive) == (False, True)


def test_attaching_waits_for_a_creator(spawn: Spawn, config: ExchangeConfig, name: str, directory: str) -> None:
    """The root is there and locked, and its record is not: what an attacher meets between claim and publication."""
    path = root_path(name, directory)
    path.touch()
    child = spawn("say('trying'); s = attach(name, directory, timeout=100); say(s.generation)")
    assert child.hear() == "trying"
    with create(config, directory) as created:
        assert child.hear() == str(created.generation)


def test_attaching_does_not_wait_for_ever(name: str, directory: str) -> None:
    root_path(name, directory).touch()
    with pytest.raises(ExchangeNotFound, match=r"not ready within 0.01 seconds.*shm-exchange clean"):
        attach(name, directory, timeout=0.01)


def _overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def _field(dtype: np.dtype, field: str) -> int:
    return int(dtype.fields[field][1])  # type: ignore[index]


@pytest.mark.parametrize(("field", "value"), [("version", LAYOUT_VERSION + 1), ("digest", 0x1234), ("magic", 7)])
def test_another_layout_is_refused_and_both_are_named(created: Segment, name: str, directory: str, field: str, value: int) -> None:
    _overwrite(root_path(name, directory), _field(ROOT, field), value.to_bytes(8, "little"))
    with pytest.raises(LayoutMismatch) as caught:
        attach(name, directory)
    theirs = (value if field == "version" else LAYOUT_VERSION, value if field == "digest" else layout_digest())
    assert "version {}, digest {:#x};".format(*theirs) in str(caught.value)
    assert f"version {LAYOUT_VERSION}, digest {layout_digest():#x}:" in str(caught.value)


def test_a_file_of_the_wrong_size_is_refused(created: Segment, name: str, directory: str) -> None:
    (data,) = data_files(name, directory)
    _overwrite(root_path(name, directory), _field(ROOT, "data_bytes"), (created.layout.size + 4096).to_bytes(8, "little"))
    with pytest.raises(LayoutMismatch, match=r"needs \d+ bytes, its root says \d+"):
        attach(name, directory)
    _overwrite(root_path(name, directory), _field(ROOT, "data_bytes"), created.layout.size.to_bytes(8, "little"))
    attach(name, directory).close()
    os.truncate(data, created.layout.size - 1)
    with pytest.raises(LayoutMismatch, match="its file has"):
        attach(name, directory)
    os.truncate(data, 40)
    with pytest.raises(LayoutMismatch, match="ends too early"):
        attach(name, directory)


_HOSTILE_WORDS = [0, -1, 1, 3, 63, 4096, 1 << 26, 1 << 40, (1 << 63) - 1, -(1 << 63)]


@pytest.mark.parametrize("field", [name for name in CONFIG.names or () if name != "_reserved"])
def test_a_hostile_configuration_is_refused(created: Segment, name: str, directory: str, field: str) -> None:
    (data,) = data_files(name, directory)
    good = data.read_bytes()[: CONFIG.itemsize]
    for value in _HOSTILE_WORDS:
        _overwrite(data, _field(CONFIG, field), value.to_bytes(8, "little", signed=True))
        try:
            attach(name, directory).close()  # some words change nothing that matters to the layout
        except LayoutMismatch as error:
            assert "damaged" in str(error)  # noqa: PT017
        _overwrite(data, 0, good)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("symbol", b"\xff\xfe"),
        ("symbol", b""),
        ("symbol", b"A B"),
        ("tick", b"0"),
        ("tick", b"-1"),
        ("tick", b"NaN"),
        ("tick", b"1E+999999"),
        ("tick", b"1E-999999"),
        ("lot", b"\x80"),
        ("lot", b"sNaN"),
        ("min_ticks", (1 << 52).to_bytes(8, "little")),
        ("max_ticks", (0).to_bytes(8, "little")),
        ("max_ticks", (-(1 << 63)).to_bytes(8, "little", signed=True)),
    ],
)
def test_a_hostile_instrument_is_refused(created: Segment, name: str, directory: str, field: str, value: bytes) -> None:
    (data,) = data_files(name, directory)
    if field == "tick":
        _overwrite(data, INSTRUMENTS_OFFSET + _field(INSTRUMENT, "min_ticks"), (-50).to_bytes(8, "little", signed=True))
    _overwrite(data, INSTRUMENTS_OFFSET + _field(INSTRUMENT, field), value.ljust(INSTRUMENT[field].itemsize, b"\0"))
    if value == b"1E-999999":  # an absurd tick is still one
        attach(name, directory).close()
        return
    with pytest.raises(LayoutMismatch, match="damaged"):
        attach(name, directory)
