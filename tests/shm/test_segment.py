"""Creating, attaching and letting go: what each side sees, may write, and leaves behind."""

from __future__ import annotations

import gc
import os
import stat
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.errors import ConfigError, ExchangeError, ExchangeNotFound, HandleClosed, LayoutMismatch
from shm_exchange.domain.instrument import Instrument
from shm_exchange.layout.digest import LAYOUT_VERSION, layout_digest
from shm_exchange.layout.headers import CONFIG, INSTRUMENT, ROOT
from shm_exchange.layout.regions import INSTRUMENTS_OFFSET, Writer
from shm_exchange.shm import MATCHER_BYTE, SHM_DIR, SUPERVISOR_BYTE, Segment, attach, create
from shm_exchange.shm.root import data_files, root_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.shm.children import Child

    Spawn = Callable[[str], Child]


@pytest.fixture
def created(config: ExchangeConfig, directory: str) -> Iterator[Segment]:
    with create(config, directory) as segment:
        yield segment


def test_attachers_get_the_configuration_of_the_creator(directory: str, name: str) -> None:
    instruments = (Instrument("ACME"), Instrument("OIL", "0.25", "10", "-99.75", "500.00"), Instrument("ODD~!", "1E-7", "0.001"))
    config = ExchangeConfig(name, instruments, 1000, 7, 64, 128, 256, 512, 3, 300, 99, 11, 17)
    with create(config, directory) as created, attach(name, directory) as attached:
        assert attached.config == created.config == config
        assert attached.layout == created.layout
        ours, theirs = ([(i.tick, i.lot, i.min_ticks, i.max_ticks) for i in c.instruments] for c in (config, attached.config))
        assert ours == theirs


def test_every_size_of_the_configuration_is_stored() -> None:
    stored = set(CONFIG.names or ()) - {"_reserved", "instrument_count"}
    assert stored == {field.name for field in fields(ExchangeConfig)} - {"name", "instruments"}


def test_arrays_are_where_the_layout_says(created: Segment) -> None:
    for region in created.layout.regions.values():
        array = created.array(region.name)
        assert array.dtype.itemsize == region.dtype.itemsize
        assert array.size == region.count * (region.sessions or 1)
        assert not array.flags.writeable
        assert isinstance(array, np.recarray)
        assert array.ctypes.data % 64 == 0


def test_what_a_role_writes_is_seen_by_all(created: Segment, name: str, directory: str) -> None:
    with attach(name, directory, write=True) as gateway, attach(name, directory) as reader:
        for session in (1, 4):
            assert gateway.try_lock(session)
            own = gateway.writable(Writer.GATEWAY, session)
            assert set(own) == {"owner", "report_head", "lane", "activity", "parked"}
            own["lane"]["number"][63] = 1000 + session
            own["report_head"]["head"] = session
            own["owner"]["session"] = b"alice"
            own["parked"][session].parked = 1
        assert [reader.array("lane", session)[63].number for session in (1, 2, 3, 4)] == [1001, 0, 0, 1004]
        assert reader.array("lane").shape == (4, 64)
        assert list(reader.array("lane")["number"][:, 63]) == [1001, 0, 0, 1004]
        assert list(created.array("report_head").head) == [1, 0, 0, 4]
        assert list(created.array("owner").session) == [b"alice", b"", b"", b"alice"]
        assert list(reader.array("parked").parked) == [0, 1, 0, 0, 1]


def test_the_matcher_and_the_supervisor_write_their_pages(created: Segment, name: str, directory: str) -> None:
    with attach(name, directory, write=True) as matcher:
        assert matcher.try_lock(MATCHER_BYTE)
        own = matcher.writable(Writer.MATCHER)
        assert set(own) == {r.name for r in matcher.layout.regions.values() if r.writer in (Writer.MATCHER, Writer.MANY)}
        for number, array in enumerate(own.values()):
            array.view(np.ndarray).reshape(-1).view(np.uint8)[-1] = number
        created.writable(Writer.SUPERVISOR)["control"][0].stop = 1
        assert matcher.array("control")[0].stop == 1
        for number, name_ in enumerate(own):
            assert created.array(name_).view(np.ndarray).view(np.uint8)[-1] == number


def test_only_the_holder_of_the_lock_may_write(created: Segment, name: str, directory: str) -> None:
    with attach(name, directory, write=True) as gateway:
        with pytest.raises(ExchangeError, match="try_lock"):
            gateway.writable(Writer.GATEWAY, 1)
        with pytest.raises(ExchangeError, match="try_lock"):
            gateway.writable(Writer.MATCHER)
        with pytest.raises(ExchangeError, match="1 to 4"):
            gateway.writable(Writer.GATEWAY, 5)
        with attach(name, directory, write=True) as rival:
            assert rival.try_lock(1)
            assert not gateway.try_lock(1)


def test_a_store_through_a_reader_kills_only_the_reader(created: Segment, spawn: Spawn) -> None:
    program = """
    import ctypes
    segment = attach(name, directory)
    array = segment.array("matcher")
    try:
        array[0].log_tail = 1
    except ValueError:
        say("refused")
    ctypes.memset(array.ctypes.data, 1, 8)
    """
    child = spawn(program)
    assert child.hear() == "refused"
    assert child.end() == -11
    assert created.array("matcher")[0].log_tail == 0


def test_a_gateway_cannot_write_beside_its_own_pages(created: Segment, spawn: Spawn) -> None:
    program = """
    import ctypes
    segment = attach(name, directory, write=True)
    assert segment.try_lock(2)
    lane = segment.writable(Writer.GATEWAY, 2)["lane"]
    say(ctypes.memset(lane.ctypes.data, 1, lane.nbytes) > 0)
    ctypes.memset(segment.array("lane", 3).ctypes.data, 1, 8)
    """
    child = spawn(program)
    assert child.hear() == "True"
    assert child.end() == -11
    assert not created.array("lane", 3).view(np.ndarray).view(np.uint8).any()


def test_attaching_removes_nothing_when_the_process_ends(created: Segment, spawn: Spawn, name: str, directory: str) -> None:
    for ending in ("", "; sys.exit(3)", "; os.kill(os.getpid(), signal.SIGKILL)"):
        child = spawn("s = attach(name, directory, write=True); assert s.try_lock(1); a = s.writable(Writer.GATEWAY, 1); say('in')" + ending)
        assert child.hear() == "in"
        child.end()
        assert root_path(name, directory).exists()
        assert len(data_files(name, directory)) == 1
        assert created.is_current
        assert not created.is_held(1)


def test_closing_never_raises_and_views_outlive_it(created: Segment, name: str, directory: str) -> None:
    gateway = attach(name, directory, write=True)
    assert gateway.try_lock(1)
    lane = gateway.writable(Writer.GATEWAY, 1)["lane"]
    numbers = gateway.array("lane", 1)["number"][3:]
    gateway.close()
    gateway.close()
    del gateway
    gc.collect()
    lane[3].number = 42
    assert numbers[0] == 42
    assert not created.is_held(1)


def test_the_pages_go_with_the_last_view(created: Segment, name: str, directory: str) -> None:
    def mapped() -> int:
        return Path("/proc/self/maps").read_text(encoding="utf-8").count(str(root_path(name, directory)))

    gc.collect()
    before = mapped()
    segment = attach(name, directory)
    array = segment.array("events")
    segment.close()
    assert mapped() == before + 1
    del array
    assert mapped() == before


def test_a_closed_segment_says_so(created: Segment, name: str, directory: str) -> None:
    segment = attach(name, directory, write=True)
    segment.close()
    for use in (lambda: segment.array("log"), lambda: segment.try_lock(1), lambda: segment.writable(Writer.MATCHER), segment.destroy):
        with pytest.raises(HandleClosed, match="attach again"):
            use()


def test_destroying_cuts_off_those_who_are_attached(config: ExchangeConfig, name: str, directory: str) -> None:
    created = create(config, directory)
    gateway = attach(name, directory, write=True)
    with pytest.raises(ExchangeError, match="only the creator"):
        gateway.destroy()
    created.destroy()
    assert list(Path(directory).iterdir()) == []
    assert not gateway.is_current
    with pytest.raises(ExchangeNotFound, match="stopped or replaced"):
        gateway.try_lock(1)
    with pytest.raises(ExchangeNotFound, match="stopped or replaced"), gateway.attach_mutex():
        pass
    assert gateway.array("config")[0].max_sessions == 4
    gateway.close()


def test_the_attach_mutex_lets_one_in(created: Segment, name: str, directory: str, spawn: Spawn) -> None:
    with attach(name, directory, write=True) as gateway:
        with gateway.attach_mutex():
            child = spawn("s = attach(name, directory, write=True); say('trying')\nwith s.attach_mutex(): say('in')")
            assert child.hear() == "trying"
            assert not created.is_held(1)
            assert gateway.try_lock(1)
        assert child.hear() == "in"


def test_a_name_used_again_is_a_new_generation(config: ExchangeConfig, name: str, directory: str) -> None:
    first = create(config, directory)
    old = attach(name, directory)
    first.close()
    with create(config, directory) as second, attach(name, directory) as new:
        assert second.generation == new.generation != first.generation
        assert not old.is_current
        assert len(data_files(name, directory)) == 1
        second.writable(Writer.SUPERVISOR)["control"][0].stop = 1
        assert (old.array("control")[0].stop, new.array("control")[0].stop) == (0, 1)
        second.destroy()
    old.close()


def test_a_gateway_of_a_dead_exchange_does_not_hold_a_session_of_its_successor(config: ExchangeConfig, name: str, directory: str) -> None:
    first = create(config, directory)
    with attach(name, directory, write=True) as old:
        assert old.try_lock(1)
        first.close()
        with create(config, directory), attach(name, directory, write=True) as new:
            assert new.try_lock(1)


@pytest.mark.parametrize("umask", [0, 0o777])
def test_files_are_ours_alone_whatever_the_umask(config: ExchangeConfig, directory: str, umask: int) -> None:
    before = os.umask(umask)
    try:
        with create(config, directory):
            modes = [stat.S_IMODE(path.stat().st_mode) for path in Path(directory).iterdir()]
    finally:
        os.umask(before)
    assert modes == [0o600, 0o600]


def test_the_usual_directory_is_dev_shm(config: ExchangeConfig) -> None:
    with create(config) as created:
        assert Path(f"{SHM_DIR}/shm_exchange-{os.getuid()}-{config.name}.{created.generation}").stat().st_size == created.layout.size
        with attach(config.name) as attached:
            assert attached.generation == created.generation
        created.destroy()


def test_every_page_is_really_there(created: Segment, name: str, directory: str) -> None:
    (data,) = data_files(name, directory)
    assert data.stat().st_blocks * 512 >= created.layout.size


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


def test_a_file_that_is_not_ours_is_not_used(config: ExchangeConfig, name: str, directory: str) -> None:
    target = Path(directory) / "elsewhere"
    target.touch()
    root_path(name, directory).symlink_to(target)
    for use in (lambda: attach(name, directory), lambda: create(config, directory)):
        with pytest.raises(ExchangeError, match="cannot open"):
            use()
    if os.getuid() == 0:
        root_path(name, directory).unlink()
        root_path(name, directory).touch()
        os.chown(root_path(name, directory), 12345, 12345)
        for use in (lambda: attach(name, directory), lambda: create(config, directory)):
            with pytest.raises(ExchangeError, match="belongs to user 12345"):
                use()


def test_the_memory_room_starts_without_the_compiler(spawn: Spawn) -> None:
    assert spawn("say('numba' in sys.modules)").hear() == "False"


def test_supervisor_byte_is_the_creators(created: Segment, name: str, directory: str) -> None:
    with attach(name, directory, write=True) as attached:
        assert attached.supervisor_alive
        assert created.supervisor_alive
        assert not attached.try_lock(SUPERVISOR_BYTE)
