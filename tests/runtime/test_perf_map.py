"""The map of compiled kernels that perf reads: names of people, addresses of the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from shm_exchange.runtime import perf_map

ROOT = Path(__file__).parents[2]
PROGRAM = """
import os
from shm_exchange._intrinsics import monotonic_ns

monotonic_ns()
(compiled,) = monotonic_ns.overloads.values()
print(os.getpid(), compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name), flush=True)
"""


def run(folder: Path, cache: Path) -> tuple[int, int]:
    """A process that calls one kernel: its pid, and where the kernel lies."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), perf_map.VARIABLE: str(folder), "SHM_EXCHANGE_CACHE": str(cache)}
    ended = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    pid, address = map(int, ended.stdout.split())
    return pid, address


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kernels")


@pytest.mark.parametrize("origin", ["compiled", "from the cache"])
def test_a_kernel_is_named_where_it_lies(tmp_path: Path, cache: Path, origin: str) -> None:
    pid, address = run(tmp_path, cache)
    (path,) = tmp_path.iterdir()
    assert path == perf_map.map_of(pid, tmp_path)
    rows = [line.split(" ", 2) for line in path.read_text().splitlines()]
    places = {name: (int(start, 16), int(size, 16)) for start, size, name in rows}
    assert places["_intrinsics.monotonic_ns"][0] == address
    assert "_intrinsics.monotonic_ns [called from Python]" in places
    ordered = sorted(places.values())
    assert all(size > 0 for _, size in ordered)
    assert all(start + size <= following for (start, size), (following, _) in pairwise(ordered)), "functions overlap"


def test_where_no_map_can_be_written_kernels_run_and_it_is_said_once(tmp_path: Path) -> None:
    from numba import njit

    perf_map.start(tmp_path / "missing")
    with pytest.warns(RuntimeWarning, match=f"cannot write perf's map of kernel names.*{perf_map.VARIABLE}"):
        assert njit(lambda number: number + 1)(1) == 2
    assert njit(lambda number: number + 2)(1) == 3, "a second warning would be an error"


def test_another_numba_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba.core import codegen

    assert perf_map.why_not() == ""
    monkeypatch.delattr(codegen.JITCodeLibrary, "get_pointer_to_function")
    assert "JITCodeLibrary has no get_pointer_to_function" in perf_map.why_not()
    with pytest.warns(RuntimeWarning, match="profiles will show no names of kernels"):
        perf_map.start(Path("/tmp"))


@pytest.mark.parametrize(
    ("mangled", "name"),
    [
        ("_ZN12shm_exchange6engine5apply5applyB3v41B52c8tJTIeFIjxB2IKSgI4CrvQE3533Book_28unaligned_20array", "engine.apply.apply"),
        ("_ZN7cpython12shm_exchange7matcher4loop9run_sliceB3v19B52c8tJTE3668MatcherMemory", f"matcher.loop.run_slice{perf_map.FROM_PYTHON}"),
        ("cfunc._ZN12shm_exchange7matcher4loop9run_sliceB3v19B52c8tJTE3668MatcherMemory", f"matcher.loop.run_slice{perf_map.FROM_C}"),
        ("_ZN5numba7cpython8builtins6ol_max12_3clocals_3e4implB3v27B52c8tE15StarArgUniTuple", "numba.cpython.builtins.ol_max.<locals>.impl"),
        ("_ZN5bench7drivers14drive_pipelineB2v1E", "bench.drivers.drive_pipeline"),
        ("NRT_MemInfo_call_dtor", "NRT_MemInfo_call_dtor"),
    ],
)
def test_names_are_those_of_the_sources(mangled: str, name: str) -> None:
    assert perf_map.readable(mangled) == name
