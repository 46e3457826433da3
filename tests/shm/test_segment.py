"""Creating, attaching and letting go: what each side sees, may write, and leaves behind."""

from __future__ import annotations

import gc
import os
import stat
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.errors import ExchangeError, ExchangeNotFound, HandleClosed
from shm_exchange.domain.instrument import Instrument
from shm_exchange.layout.headers import CONFIG
from shm_exchange.layout.regions import Writer
from shm_exchange.shm import MATCHER_BYTE, SHM_DIR, SUPERVISOR_BYTE, Segment, attach, create
from shm_exchange.shm.root import data_files, root_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.shm.children import Child

    Spawn = Callable[[str], Child]


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
            assert set(own) == {"owner", "report_head", "lane", "activity", "parked", "keeper_parked"}
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


@pytest.mark.parametrize("half_removed", [False, True])
def test_a_gateway_of_a_dead_exchange_holds_no_session_of_its_successor(
    config: ExchangeConfig, name: str, directory: str, half_removed: bool
) -> None:
    first = create(config, directory)
    with attach(name, directory, write=True) as old:
        assert old.try_lock(1)
        first.close()
        if half_removed:  # who removed it was killed in between
            data_files(name, directory)[0].unlink()
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
