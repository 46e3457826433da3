"""`demo`: a whole market in miniature, and what becomes of it when it is broken off."""

from __future__ import annotations

import os
import signal

import pytest

from tests.cli.programs import Running, await_no_files, call, figures, files_of

CHECKS = {
    "reports_gapless",
    "quantity_conserved",
    "both_sides_told",
    "book_check",
    "replica_equals_engine",
    "snapshot_equals_replica",
    "snapshots_never_back",
}


@pytest.mark.long
def test_a_short_demo_holds() -> None:
    found = figures("demo", "--orders", "30000", "--rate", "0")
    assert found["checks"] == dict.fromkeys(CHECKS, True)
    assert found["orders"] == 30_000
    assert found["trades"] > 3000
    assert found["rejects"] > 100
    assert found["seconds"] > 0
    assert 0 < found["latency_ns_p50"] <= found["latency_ns_p99"] <= found["latency_ns_p999"]
    assert set(found["ladders"]) == {"ACME", "GLOBEX", "INITECH"}
    assert not files_of("demo-")


@pytest.mark.long
def test_it_works_on_one_core_and_its_summary_fits_80_columns() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        done = call("demo", "--orders", "3000", "--gateways", "2", COLUMNS="80")
    finally:
        os.sched_setaffinity(0, before)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("✔") == len(CHECKS)
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "…" not in done.stdout.replace("1, 2, 3 …", "")


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.long), pytest.param(signal.SIGKILL, -9, marks=pytest.mark.long)],
)
def test_broken_off_it_leaves_nothing(number: signal.Signals, code: int) -> None:
    with Running("demo", "--orders", "10000000", "--rate", "2000") as program:
        program.hear("of 10,000,000 orders")
        name = f"demo-{program.process.pid}"
        assert files_of(name)
        program.signal(number)
        assert program.end()[0] == code
        await_no_files(name)
