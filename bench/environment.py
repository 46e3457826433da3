"""The environment card: what a figure was measured on, and what of it makes the figure worth less."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from shm_exchange.runtime import machine
from shm_exchange.runtime.cgroups import core_quota
from shm_exchange.runtime.speed import FAST_CLOCKS

_SHARED_MEMORY = "/dev/shm"
_CHECKOUT = Path(__file__).parents[1]
_LOAD_IDLE = 0.5
_SHARED_MEMORY_MIN = 1 << 30


def environment() -> dict[str, Any]:
    """Facts about this machine and process, ready for JSON; None where the kernel does not tell."""
    usable = sorted(os.sched_getaffinity(0))
    return {
        "cpu_model": machine.cpuinfo("model name") or platform.machine(),
        "cores_usable": usable,
        "cores_online": os.cpu_count(),
        "pinned": len(usable) < (os.cpu_count() or 0),
        "core_quota": core_quota(),
        "smt_siblings": machine.smt_siblings(usable),
        "governor": machine.governor(usable[0]),
        "turbo": machine.turbo(),
        "l2_bytes": machine.cache_bytes(usable[0], 2),
        "l3_bytes": machine.cache_bytes(usable[0], 3),
        "virtual_machine": machine.virtual_machine(),
        "clock_source": machine.clock_source(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "huge_pages": machine.huge_pages(),
        "huge_pages_shared": machine.huge_pages_shared(),
        "shared_memory_bytes": shutil.disk_usage(_SHARED_MEMORY).total,
        "shared_memory_free_bytes": shutil.disk_usage(_SHARED_MEMORY).free,
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        **{package: version(package) for package in ("numba", "llvmlite", "numpy")},
        "git_revision": _git_revision(),
    }


def warnings(env: dict[str, Any]) -> list[str]:
    """What weakens a measurement here, each in a sentence that says what to do."""
    cores, load, quota = len(env["cores_usable"]), env["load_average"][0], env["core_quota"]
    verdicts = [
        (cores == 1, "1 core usable: matcher and gateway take turns, so figures show the scheduler; use two cores or more"),
        (cores == 2, "2 cores usable: with more than one gateway, or a reader, figures show the scheduler; compare one gateway only"),
        (bool(quota) and quota < cores, f"the cgroup allows {quota} cores of time: spinning processes are stopped in turn; lift cpu.max"),
        (bool(env["smt_siblings"]), f"usable cores share execution units {env['smt_siblings']}: pin to one of each pair, e.g. with taskset"),
        (load > _LOAD_IDLE, f"load average is {load}: something else is running; stop it, or wait a minute"),
        (bool(env["virtual_machine"]), "virtual machine: the host takes time away unseen, which the tail shows; trust medians and best runs"),
        (env["governor"] not in (None, "performance"), f"governor is {env['governor']}: the clock follows the load; set it to performance"),
        (env["governor"] is None, "governor unknown: this machine does not tell whether its clock follows the load; compare interleaved runs only"),
        (bool(env["turbo"]), "turbo is on: the clock follows heat and neighbours; switch it off, or compare interleaved runs only"),
        (env["clock_source"] not in (None, *FAST_CLOCKS), f"clock source is {env['clock_source']}: reading it is a system call; use tsc"),
        (env["huge_pages"] == "always", "transparent huge pages are always on: compaction may stall a process; set them to madvise"),
        (
            env["shared_memory_free_bytes"] < _SHARED_MEMORY_MIN,
            f"/dev/shm has {_gib(env['shared_memory_free_bytes'])} free: an exchange may not fit; free or enlarge it",
        ),
        (
            (env["git_revision"] or "").endswith("changed"),
            "the checkout has uncommitted changes: nobody else can repeat this; commit before publishing figures",
        ),
    ]
    return [text for applies, text in verdicts if applies]


def card(env: dict[str, Any]) -> str:
    """The facts in a few aligned lines."""
    cores = ",".join(map(str, env["cores_usable"]))
    quota = f", {env['core_quota']} cores of time" if env["core_quota"] else ""
    kind = {True: "virtual machine", False: "bare metal", None: "virtual or metal unknown"}[env["virtual_machine"]]
    rows = {
        "processor": f"{env['cpu_model']}, L2 {_mib(env['l2_bytes'])}, L3 {_mib(env['l3_bytes'])}",
        "cores": f"{cores} of {env['cores_online']} usable{quota}, shared units {env['smt_siblings'] or 'none'}",
        "frequency": f"governor {_known(env['governor'])}, turbo {_known({True: 'on', False: 'off'}.get(env['turbo']))}",
        "system": f"{env['kernel']}, {kind}, clock {_known(env['clock_source'])}, load {' '.join(f'{load:.2f}' for load in env['load_average'])}",
        "memory": f"/dev/shm {_gib(env['shared_memory_bytes'])}, {_gib(env['shared_memory_free_bytes'])} free, "
        f"huge pages {_known(env['huge_pages'])}, shared {_known(env['huge_pages_shared'])}",
        "software": f"Python {env['python']}, numba {env['numba']}, llvmlite {env['llvmlite']}, numpy {env['numpy']}",
        "revision": _known(env["git_revision"]),
    }
    width = max(map(len, rows))
    return "\n".join(f"{name:{width}}  {text}" for name, text in rows.items())


def _git_revision() -> str | None:
    try:
        revision = _git("rev-parse", "--short=12", "HEAD")
        return f"{revision}, changed" if _git("status", "--porcelain") else revision
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(_CHECKOUT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


def _known(word: str | None) -> str:
    return word or "unknown"


def _mib(count: int | None) -> str:
    return f"{count / (1 << 20):g} MiB" if count else "unknown"


def _gib(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB"
