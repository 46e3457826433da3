"""Reading machines and control groups, of both versions, from their files."""

from __future__ import annotations

from pathlib import Path

import pytest

from shm_exchange.runtime import machine as facts
from shm_exchange.runtime.cgroups import MemoryLimit, core_quota, cpuset, memory_limit
from tests.runtime.machines import cores, put

V2 = {"proc/self/cgroup": "0::/a/b"}
V1 = {"proc/self/cgroup": "4:memory:/docker/x\n3:cpuset:/\n2:cpu,cpuacct:/docker/x\n1:name=systemd:/"}
MEMORY = "sys/fs/cgroup/memory"


def test_kernel_lists_of_cores_are_read() -> None:
    assert facts.cpu_list("0-2,8,10-11") == [0, 1, 2, 8, 10, 11]
    assert facts.cpu_list("\n") == []


def test_siblings_and_caches_are_grouped_among_the_cores_asked_about(tmp_path: Path) -> None:
    cores(tmp_path, ["0,2", "1,3", "0,2", "1,3"], ["0,2", "1,3", "0,2", "1,3"])
    assert facts.smt_siblings([0, 1, 2, 3], tmp_path) == [[0, 2], [1, 3]]
    assert facts.smt_siblings([0, 1], tmp_path) == []
    assert facts.l3_groups([0, 1, 2], tmp_path) == [[0, 2], [1]]
    assert facts.cache_bytes(0, 3, tmp_path) == 32 << 20
    assert facts.governor(0, tmp_path) == "performance"


def test_a_machine_that_says_nothing_is_unknown(tmp_path: Path) -> None:
    asked = (facts.turbo, facts.clock_source, facts.huge_pages, facts.huge_pages_shared, facts.perf_event_paranoid, facts.virtual_machine)
    assert [ask(tmp_path) for ask in (*asked, facts.load_average)] == [None] * 7
    assert facts.swap_bytes(tmp_path) == 0
    assert facts.smt_siblings([0, 1], tmp_path) == []
    assert facts.l3_groups([0, 1], tmp_path) == []
    assert (memory_limit(tmp_path), core_quota(tmp_path), cpuset(tmp_path)) == (None, None, None)


def test_swap_in_use_is_added_up(tmp_path: Path) -> None:
    put(tmp_path, {"proc/swaps": "Filename\tType\tSize\tUsed\tPriority\n/dev/sda2 partition 2048 0 -2\n/swap file 1024 0 -3"})
    assert facts.swap_bytes(tmp_path) == 3 << 20


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (V2 | {"sys/fs/cgroup/a/b/memory.max": "max", "sys/fs/cgroup/a/b/memory.current": "5"}, None),
        (V2 | {"sys/fs/cgroup/a/b/memory.max": "1000", "sys/fs/cgroup/a/b/memory.current": "300"}, MemoryLimit(1000, 300)),
        (
            V2 | {"sys/fs/cgroup/a/b/memory.max": "1000", "sys/fs/cgroup/a/memory.max": "500", "sys/fs/cgroup/a/memory.current": "400"},
            MemoryLimit(500, 400),
        ),
        ({"sys/fs/cgroup/memory.max": "700"}, MemoryLimit(700, 0)),  # a container whose own group is the top of what it sees
        (V1 | {f"{MEMORY}/docker/x/memory.limit_in_bytes": "9223372036854771712"}, None),
        (V1 | {f"{MEMORY}/docker/x/memory.limit_in_bytes": "800", f"{MEMORY}/docker/x/memory.usage_in_bytes": "1"}, MemoryLimit(800, 1)),
        (V1 | {f"{MEMORY}/memory.limit_in_bytes": "900"}, MemoryLimit(900, 0)),
    ],
)
def test_the_strictest_memory_limit_counts(tmp_path: Path, files: dict[str, str], expected: MemoryLimit | None) -> None:
    assert memory_limit(put(tmp_path, files)) == expected


def _v1_quota(folder: str, quota: int) -> dict[str, str]:
    return {f"sys/fs/cgroup/{folder}/cpu.cfs_quota_us": str(quota), f"sys/fs/cgroup/{folder}/cpu.cfs_period_us": "100000"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (V2 | {"sys/fs/cgroup/a/b/cpu.max": "max 100000", "sys/fs/cgroup/a/cpu.max": "150000 100000"}, 1.5),
        (V2 | {"sys/fs/cgroup/a/b/cpu.max": "max 100000"}, None),
        (V1 | _v1_quota("cpu,cpuacct/docker/x", 50_000), 0.5),
        (V1 | _v1_quota("cpu", 200_000), 2.0),
        (V1 | _v1_quota("cpu", -1), None),
    ],
)
def test_the_smallest_quota_counts(tmp_path: Path, files: dict[str, str], expected: float | None) -> None:
    assert core_quota(put(tmp_path, files)) == expected


def test_the_cpuset_of_either_version(tmp_path: Path) -> None:
    assert cpuset(put(tmp_path / "v2", V2 | {"sys/fs/cgroup/a/cpuset.cpus.effective": "0-3"})) == "0-3"
    assert cpuset(put(tmp_path / "v1", V1 | {"sys/fs/cgroup/cpuset/cpuset.cpus": "4,5"})) == "4,5"
