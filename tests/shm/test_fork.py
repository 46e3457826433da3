"""A forked child has no part in its parent's exchange: no lock, no writable page, no handle (I3)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from shm_exchange.shm import Segment

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.shm.children import Child

    Spawn = Callable[[str], Child]

GATEWAY = """
import ctypes
segment = attach(name, directory, write=True)
assert segment.try_lock(1)
own = segment.writable(Writer.GATEWAY, 1)
def child(work):
    pid = os.fork()
    if pid == 0:
        work()
        sys.stdout.flush()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def test_the_child_cannot_use_the_handle(created: Segment, spawn: Spawn) -> None:
    program = """
    def work():
        for use in (lambda: segment.array("log"), lambda: segment.try_lock(2), lambda: segment.writable(Writer.GATEWAY, 1),
                    lambda: segment.is_held(1), segment.attach_mutex().__enter__, segment.destroy):
            try:
                use()
            except HandleClosed as error:
                assert "forked" in str(error) and "attach again in the child" in str(error), error
            else:
                say("usable")
        with attach(name, directory, write=True) as fresh:
            say(fresh.try_lock(1), fresh.try_lock(2))
    assert child(work) == 0
    say("parent", segment.is_held(1), segment.try_lock(2))
    """
    parent = spawn(GATEWAY + program.replace("\n    ", "\n"))
    assert parent.hear() == "False True"
    assert parent.hear() == "parent True True"
    assert parent.end() == 0


def test_the_child_cannot_write_in_its_parents_name(created: Segment, spawn: Spawn) -> None:
    program = """
    def work():
        own["lane"]["number"][0] = 13
    say(child(work))
    own["lane"]["number"][0] = 12
    say("written")
    wait()
    """
    parent = spawn(GATEWAY + program.replace("\n    ", "\n"))
    assert parent.hear() == "-11"
    assert parent.hear() == "written"
    assert created.array("lane", 1)["number"][0] == 12


def test_the_child_may_read_what_it_had(created: Segment, spawn: Spawn) -> None:
    program = """
    lane = segment.array("config")
    say(child(lambda: say(lane[0].max_sessions)))
    """
    parent = spawn(GATEWAY + program.replace("\n    ", "\n"))
    assert [parent.hear(), parent.hear()] == ["4", "0"]


@pytest.mark.parametrize("letting_go", ["segment.close()", "del segment", "own.clear(); del segment", "own.clear(); segment.close()"])
def test_letting_go_in_the_child_unmaps_nothing_of_the_child(created: Segment, spawn: Spawn, letting_go: str) -> None:
    """The parent's writable pages are a hole in the child. What the child maps there must survive the inherited handle."""
    program = """
    addresses = {array.ctypes.data & -4096: array for array in own.values()}
    def work():
        global segment
        holes = list(addresses)
        addresses.clear()
        libc = ctypes.CDLL(None)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        noreplace = 0x100000
        for hole in holes:
            assert libc.mmap(hole, 4096, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | noreplace, -1, 0) == hole
            ctypes.memset(hole, 7, 4096)
        LETTING_GO
        gc.collect()
        say(len(holes), *{ctypes.string_at(hole, 1) for hole in holes})
    say(child(work))
    """
    parent = spawn(GATEWAY + program.replace("\n    ", "\n").replace("LETTING_GO", letting_go))
    assert parent.hear() == r"3 b'\x07'"
    assert parent.hear() == "0"


def test_the_session_is_free_when_the_parent_dies(created: Segment, spawn: Spawn) -> None:
    program = """
    def work():
        say(os.getpid())
        wait()
    child(work)
    """
    parent = spawn(GATEWAY + program.replace("\n    ", "\n"))
    child = int(parent.hear())
    assert created.is_held(1)
    parent.kill()
    os.kill(child, 0)
    assert not created.is_held(1)
    parent.go_on()
    assert parent.hear() == ""
