"""`python -m bench journal`: what a journal costs, what the disk takes, and how soon a dead matcher has a successor.

Throughput: the pipeline of `bench throughput` with each mode in turn, round after round, so that a disturbed moment meets all modes alike; ratios
are of one round, to the run without a journal. A core of its own for the keeper where there is one. Recovery: the same flow is replayed from its
files, and a matcher is killed behind it, once with a standby and once without.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.canonical import to_commands
from bench.drivers import drive_pipeline
from bench.flow import generate
from bench.measurement import Measurement
from bench.pair import EAGER_POLLS, bench_config, cores, pinned, spare_core
from bench.progress import Steps
from bench.referee import FIRST, REPORTS_A_MESSAGE, SESSION
from shm_exchange.client.gateway import Gateway
from shm_exchange.domain.config import JournalConfig
from shm_exchange.domain.enums import JournalMode, Side
from shm_exchange.journal.checkpoints import write_checkpoint
from shm_exchange.journal.reading import Journal
from shm_exchange.journal.replaying import Replay
from shm_exchange.layout.records import COMMAND_WORDS, REPORT
from shm_exchange.supervisor.supervisor import Supervisor

SCENARIO, SEED = "normal", 23
MODES = (JournalMode.OFF, JournalMode.ASYNC, JournalMode.GROUP, JournalMode.SYNC)
_SYNCS = 50
_SYNC_BYTES = 64 * 1024
_READY_SECONDS = 60.0


def run(count: int, rounds: int, folder: Path | None, steps: Steps) -> Measurement:
    """`count`: commands of a run. `folder`: where journals are written meanwhile (default: the folder for temporary files)."""
    steps.expect(2 + rounds * len(MODES))
    steps(f"generating {count:,} commands")
    commands = to_commands(generate(SCENARIO, SEED, (count + 1) // 2 + 1)[:count], SESSION, FIRST)
    with tempfile.TemporaryDirectory(prefix="bench-journal-", dir=folder) as place:
        disk = _bare_syncs(Path(place))
        rates: dict[JournalMode, list[float]] = {mode: [] for mode in MODES}
        figures: dict[JournalMode, dict[str, Any]] = {}
        for number in range(1, rounds + 1):
            for mode in MODES:
                steps(f"round {number} of {rounds}, {mode.name.lower()}")
                with _journaled(mode, place) as supervisor:
                    rates[mode].append(_rate(supervisor, commands))
                    figures[mode] = _disk_figures(supervisor)
        steps("recovery")
        recovery = _recovery(commands, place)
    base = rates[JournalMode.OFF]
    rows = [
        {
            "mode": mode.name.lower(),
            "commands_per_second": median(rates[mode]),
            "ratio": median(rate / other for rate, other in zip(rates[mode], base, strict=True)),
            **figures[mode],
        }
        for mode in MODES
    ]
    where = {"keeper_core": "its own" if spare_core() is not None else "none of its own: two cores for gateway, matcher and keeper"}
    return Measurement({"commands": count, **where, "fdatasync": disk, "modes": rows, "recovery": recovery})


@contextmanager
def _journaled(mode: JournalMode, place: str) -> Iterator[Supervisor]:
    """An exchange with a matcher on a core of its own, this process pinned to another, and the keeper on a third where there is one."""
    own, matcher = cores()
    journal = None if mode is JournalMode.OFF else JournalConfig(mode, tempfile.mkdtemp(prefix=f"{mode.name.lower()}-", dir=place))
    kept = spare_core()
    with (
        Supervisor(bench_config("journal"), cores=(matcher, kept), journal=journal, forgets=journal is not None) as supervisor,
        pinned(own),
    ):
        supervisor.control.set_spin_polls(EAGER_POLLS if own != matcher else 0)
        _await_standby(supervisor)
        yield supervisor


def _await_standby(supervisor: Supervisor) -> None:
    """A standby that still loads kernels would be measured too."""
    if supervisor.crew.standby is not None:
        supervisor.crew.standby.await_ready(_READY_SECONDS)


def _rate(supervisor: Supervisor, commands: np.ndarray) -> float:
    """Commands a second of one gateway, everything published and every report taken."""
    with Gateway.attach(supervisor.name, session="journal") as gateway:
        out = np.zeros(REPORTS_A_MESSAGE * len(commands), REPORT)
        out["number"] = 0
        nanoseconds, _ = drive_pipeline(*gateway.rings(), commands.view(COMMAND_WORDS), out, cores()[0] != cores()[1])
    return float(len(commands) / nanoseconds * 1e9)


def _disk_figures(supervisor: Supervisor) -> dict[str, Any]:
    counters = supervisor.segment.array("keeper_counters")[0]
    syncs = int(counters.syncs)
    return {
        "syncs": syncs,
        "sync_ms_mean": round(int(counters.sync_ns) / max(1, syncs) / 1e6, 3),
        "sync_ms_max": round(int(counters.sync_ns_high) / 1e6, 3),
    }


def _bare_syncs(place: Path) -> dict[str, float]:
    """What the disk itself takes: milliseconds of fdatasync behind a write of 64 KiB into a preallocated file."""
    fd = os.open(place / "bare", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, _SYNCS * _SYNC_BYTES)
        taken = []
        for number in range(_SYNCS):
            os.pwrite(fd, bytes(_SYNC_BYTES), number * _SYNC_BYTES)
            start = time.perf_counter()
            os.fdatasync(fd)
            taken.append((time.perf_counter() - start) * 1e3)
    finally:
        os.close(fd)
    return {"median_ms": round(median(taken), 3), "max_ms": round(max(taken), 3)}


def _recovery(commands: np.ndarray, place: str) -> dict[str, Any]:
    """Replay speed, and the time from a kill to the first report of the successor, with all commands behind the last checkpoint."""
    with _journaled(JournalMode.ASYNC, place) as supervisor:
        rate = _rate(supervisor, commands)
        folder = supervisor.segment.journal.directory
        end = int(supervisor.segment.array("counters")[0].commands)
        with Gateway.attach(supervisor.name, session="late") as gateway:
            standby = _killed(supervisor, gateway)
            if supervisor.crew.standby is not None:
                supervisor.crew.standby.kill()
            cold = _killed(supervisor, gateway)
        speeds = [_replay_speed(folder, end) for _ in range(3)]
        size = sum(path.stat().st_size for path in Path(folder).glob("checkpoint-*")) or _checkpoint_size(folder, end, place)
    return {
        "commands_behind": end,
        "replay_commands_per_second": median(speeds),
        "pipeline_commands_per_second": rate,
        "standby_seconds": round(standby, 4),
        "cold_seconds": round(cold, 4),
        "checkpoint_bytes": size,
    }


def _replay_speed(folder: str, end: int) -> float:
    """Commands a second, files in the page cache, from the first command: records checked, copied and applied."""
    replay = Replay(Journal(folder, end=end), at_most=0)
    start = time.perf_counter()
    replay.advance(end)
    return end / (time.perf_counter() - start)


def _checkpoint_size(folder: str, end: int, place: str) -> int:
    replay = Replay(Journal(folder, end=end))
    replay.advance(end)
    path = write_checkpoint(Path(place), replay.journal.config, replay.book, 1)
    return path.stat().st_size


def _killed(supervisor: Supervisor, gateway: Gateway) -> float:
    """Seconds from a SIGKILL of the matcher to the report of an order submitted right behind it."""
    while gateway.wait(0.05):
        gateway.poll()
    start = time.perf_counter()
    supervisor.matcher.kill()
    gateway.limit("MID", Side.BUY, price_ticks=1, quantity=1)
    supervisor.attend()
    while not gateway.poll():
        gateway.wait(0.05)
        supervisor.attend()
    return time.perf_counter() - start
