"""Each check: well on a good machine, a verdict with a cure on a bad one. The trials are made for real, and refused for real."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pytest

from shm_exchange._cache import cache_folder
from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.instrument import Instrument
from shm_exchange.runtime import needs, speed, trials
from shm_exchange.runtime.findings import Finding, Verdict
from shm_exchange.shm.space import bytes_needed
from tests.cli.programs import environment
from tests.runtime.machines import CPU, cores, put

OK, WARNING, PROBLEM = Verdict.OK, Verdict.WARNING, Verdict.PROBLEM
PARANOID = "proc/sys/kernel/perf_event_paranoid"
THP = "sys/kernel/mm/transparent_hugepage/enabled"
CLOCK = "sys/devices/system/clocksource/clocksource0/current_clocksource"


def _expect(found: Finding, verdict: Verdict, *words: str) -> None:
    assert found.verdict is verdict, found
    assert bool(found.cure) == (verdict is not OK), found
    text = f"{found.found} {found.cure}"
    assert all(word in text for word in words), text
    assert "\n" not in text


def test_this_machine_runs_exchanges_and_says_everything() -> None:
    found = list(needs.needs())
    assert [one.name for one in found if one.verdict is PROBLEM] == []
    assert {"system", "numba", "/dev/shm", "memory limit", "locks and mapping", "pidfd", "futex", "open files", "kernel cache"} <= {
        one.name for one in found
    }
    assert all(bool(one.cure) == (one.verdict is not OK) for one in found)


def test_a_quiet_machine_has_no_warnings(tmp_path: Path) -> None:
    cores(tmp_path, ["0", "1"], ["0-1", "0-1"])
    put(
        tmp_path,
        {
            "proc/loadavg": "0.10 0.10 0.10",
            PARANOID: "1",
            THP: "always [madvise] never",
            CLOCK: "tsc",
            f"{CPU}/cpufreq/boost": "0",
            "proc/swaps": "Filename",
        },
    )
    found = {one.name: one for one in speed.speed([0, 1], tmp_path)}
    assert {name for name, one in found.items() if one.verdict is not OK} <= {"perf", "py-spy", "faster-fifo"}  # what is installed here
    assert found["L3 cache"].found == "one for all of these cores, 32 MiB"


@pytest.mark.parametrize(
    ("check", "verdict", "words"),
    [
        (partial(needs.system, "5.3.18-generic", "x86_64", 4096), PROBLEM, ["5.3.18", "5.4"]),
        (partial(needs.system, "6.1.0", "riscv64", 4096), PROBLEM, ["riscv64", "aarch64"]),
        (partial(needs.system, "6.1.0", "aarch64", 65536), PROBLEM, ["65536", "4096"]),
        (partial(needs.system, "6.1.0", "aarch64", 4096), OK, ["6.1.0"]),
        (partial(needs.python, (3, 10)), PROBLEM, ["3.11"]),
        (partial(needs.interpreted, "1"), PROBLEM, ["unset NUMBA_DISABLE_JIT"]),
        (partial(needs.interpreted, "0"), OK, []),
        (partial(needs.open_files, 32), PROBLEM, ["32", "ulimit -n"]),
        (partial(needs.open_files, 100), WARNING, ["ulimit -n"]),
        (partial(needs.open_files, resource.RLIM_INFINITY), OK, ["any"]),
        (partial(needs.shared_memory, Path("/nowhere")), PROBLEM, ["missing", "mount -t tmpfs"]),
        (partial(speed.locked_memory, 0), WARNING, ["ulimit -l"]),
        (partial(speed.locked_memory, 8 << 20), OK, ["8,192 KiB"]),
        (partial(speed.py_spy, False, needed=True), WARNING, ["shm-exchange[profile]"]),
        (partial(speed.py_spy, False, needed=False), OK, ["not needed"]),
        (partial(speed.faster_fifo, False), WARNING, ["pip install faster-fifo"]),
    ],
)
def test_each_weakness_has_a_cure(check: Callable[[], Finding], verdict: Verdict, words: list[str]) -> None:
    _expect(check(), verdict, *words)


@pytest.mark.parametrize(
    ("check", "files", "verdict", "words"),
    [
        (needs.memory, {"sys/fs/cgroup/memory.max": str(100 << 20)}, PROBLEM, ["100 MiB", "memory.max"]),
        (needs.memory, {"sys/fs/cgroup/memory.max": str(512 << 20)}, WARNING, ["512 MiB", "--memory=1024m"]),
        (needs.memory, {"sys/fs/cgroup/memory.max": str(8 << 30)}, OK, ["8,192 MiB"]),
        (partial(speed.quota, [0, 1]), {"sys/fs/cgroup/cpu.max": "150000 100000"}, WARNING, ["1.5 cores of time for 2", "cpu.max"]),
        (partial(speed.quota, [0, 1]), {"sys/fs/cgroup/cpu.max": "200000 100000"}, OK, ["enough"]),
        (partial(speed.number_of_cores, [3]), {}, WARNING, ["core 3", "two cores"]),
        (partial(speed.number_of_cores, [0, 1]), {"sys/fs/cgroup/cpuset.cpus.effective": "0-1"}, OK, ["cpuset 0-1"]),
        (speed.clock, {CLOCK: "hpet"}, WARNING, ["hpet", "tsc"]),
        (speed.huge_pages, {THP: "[always] madvise never"}, WARNING, ["echo madvise"]),
        (speed.swap, {"proc/swaps": "Filename\n/swap file 1048576 0 -2"}, WARNING, ["1,024 MiB", "swapoff"]),
        (speed.load, {"proc/loadavg": "3.50 1 1"}, WARNING, ["3.50"]),
        (partial(speed.perf, program="/usr/bin/perf"), {PARANOID: "4"}, WARNING, ["sysctl kernel.perf_event_paranoid=2"]),
        (partial(speed.perf, program=None), {PARANOID: "2"}, WARNING, ["install perf"]),
        (partial(speed.perf, program="/usr/bin/perf"), {PARANOID: "-1"}, OK, ["is -1"]),
        (partial(speed.perf, program="/usr/bin/perf"), {}, WARNING, ["counts no events"]),
    ],
)
def test_each_weakness_of_a_machine_has_a_cure(
    check: Callable[..., Finding], files: dict[str, str], verdict: Verdict, words: Iterable[str], tmp_path: Path
) -> None:
    _expect(check(root=put(tmp_path, files)), verdict, *words)


def test_cores_that_disturb_each_other_are_named(tmp_path: Path) -> None:
    cores(tmp_path, ["0,2", "1,3", "0,2", "1,3"], ["0,2", "1,3", "0,2", "1,3"], governor="powersave")
    _expect(speed.siblings([0, 1, 2], tmp_path), WARNING, "cores 0, 2 share", "pin")
    _expect(speed.siblings([0, 1], tmp_path), OK)
    _expect(speed.caches([0, 1], tmp_path), WARNING, "2 of them: core 0; core 1")
    _expect(speed.caches([0, 2], tmp_path), OK)
    put(tmp_path, {f"{CPU}/intel_pstate/no_turbo": "0"})
    governor, turbo = speed.frequency([0, 1], tmp_path)
    _expect(governor, WARNING, "powersave", "performance")
    _expect(turbo, WARNING)


def test_too_little_shared_memory_is_a_problem_in_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = bytes_needed(ExchangeConfig("default", (Instrument("ACME"),)))
    monkeypatch.setattr(needs, "bytes_free", lambda _directory: needed - 1)
    _expect(needs.shared_memory(tmp_path), PROBLEM, "20 MiB free", "shm-exchange clean", "--shm-size=41m")
    monkeypatch.setattr(needs, "bytes_free", lambda _directory: needed)
    _expect(needs.shared_memory(tmp_path), OK)


def test_a_cache_folder_that_cannot_be_used_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SHM_EXCHANGE_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cache_folder.cache_clear()
    try:
        _expect(needs.kernel_cache(), WARNING, f"{tmp_path / 'file'} cannot be used", "SHM_EXCHANGE_CACHE")
    finally:
        cache_folder.cache_clear()


def test_a_library_that_is_broken_is_a_problem() -> None:
    (found,) = needs.libraries(("no_such_library",))
    _expect(found, PROBLEM, "ModuleNotFoundError", "-m pip install --force-reinstall no_such_library")


REFUSED = """
import ctypes, sys
class Rule(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32)]
class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_uint16), ("filter", ctypes.POINTER(Rule))]
from shm_exchange.runtime import trials
rules = (Rule * 4)(Rule(0x20, 0, 0, 0), Rule(0x15, 0, 1, 434), Rule(0x06, 0, 0, 0x50001), Rule(0x06, 0, 0, 0x7FFF0000))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(Program(4, rules)), 0, 0):
    print("no seccomp")
else:
    print(trials.pidfd_refused())
"""
"""A seccomp filter as a sandbox has it: system call 434 (pidfd_open) answers EPERM, everything else is allowed."""


def test_what_a_sandbox_refuses_is_found_by_trying() -> None:
    done = subprocess.run([sys.executable, "-c", REFUSED], env=environment(), capture_output=True, text=True, check=False, timeout=60)
    if done.stdout.strip() == "no seccomp":
        pytest.skip("this kernel has no seccomp filters")
    assert done.stdout.strip() == "Operation not permitted", done.stderr


def test_trials_refused_by_the_system_say_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "No such file" in trials.shared_memory_refused(tmp_path / "missing")
    monkeypatch.setattr("shm_exchange._intrinsics.FUTEX_CALL", 100_000)
    assert trials.futex_refused() == "Function not implemented"
