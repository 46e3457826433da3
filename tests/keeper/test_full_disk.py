"""A disk that fills up: first only what lowers the book is admitted, then nothing, and all of that is said; with room again everything goes on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shm_exchange import Gateway
from shm_exchange.client import Report
from shm_exchange.domain.config import JournalConfig
from shm_exchange.domain.enums import EventKind, JournalMode, RejectReason, Side
from shm_exchange.domain.errors import LaneFull
from shm_exchange.journal.reading import Journal
from shm_exchange.journal.replaying import Replay
from shm_exchange.supervisor.status import JournalStatus, status_of
from shm_exchange.supervisor.supervisor import Supervisor
from tests.litmus.exchanges import small_config, take
from tests.litmus.waiting import await_that

SEGMENT_RECORDS = 512
_SEGMENT_BYTES = 4096 + 72 * SEGMENT_RECORDS
_FILLER_BYTES = 4 * _SEGMENT_BYTES


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for four segments, and a file on it that takes the room of four more."""
    place = tmp_path / "disk"
    place.mkdir()
    size = 8 * _SEGMENT_BYTES + 16 * 4096
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], capture_output=True, check=False).returncode:
        pytest.skip("a disk of a few pages needs the right to mount one")
    try:
        (place / "filler").write_bytes(bytes(_FILLER_BYTES))
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def _journal(supervisor: Supervisor) -> JournalStatus:
    found = status_of(supervisor.segment)["journal"]
    assert found is not None
    return found


def _await_admission(supervisor: Supervisor, word: str) -> None:
    await_that(lambda: _journal(supervisor)["admission"] == word, f"admission becomes {word}", lambda: _journal(supervisor))


def _enter(gateway: Gateway) -> Report:
    gateway.limit("ACME", Side.BUY, price_ticks=100, quantity=1)
    (report,) = take(gateway, 1)
    return report


@pytest.mark.long
@pytest.mark.parametrize("mode", [JournalMode.ASYNC, JournalMode.GROUP])
def test_a_disk_that_fills_up_and_gets_room_again(disk: Path, mode: JournalMode) -> None:
    journal = JournalConfig(mode, str(disk / "journal"), segment_records=SEGMENT_RECORDS)
    with Supervisor(small_config(log_capacity=128), journal=journal) as supervisor:
        with Gateway.attach(supervisor.name, session="alice", lane_full="raise") as gateway:
            resting = _enter(gateway)
            _fill_until(gateway, supervisor, "reducing")
            await_that(lambda: _enter(gateway).reason is RejectReason.REDUCING_ONLY, "new orders are refused")
            gateway.cancel(resting.order_id)
            assert take(gateway, 1)[0].kind is EventKind.CANCELED
            _fill_until(gateway, supervisor, "none")
            assert _journal(supervisor)["error"] == "No space left on device"
            with pytest.raises(LaneFull):  # the log ring is full, and then the lane
                _flood(gateway)
            (disk / "filler").unlink()
            _await_admission(supervisor, "all")
            while gateway.wait(0.5):
                gateway.poll()
            assert _enter(gateway).kind is EventKind.ACCEPTED
        verdict = supervisor.verify()
        assert supervisor.stop() == ""
    replay = Replay(found := Journal(disk / "journal"))
    replay.advance(verdict.sequence)
    assert (found.cut, replay.state_hash()) == ("", verdict.state_hash)


def _flood(gateway: Gateway) -> None:
    while True:
        gateway.cancel(1)


def _fill_until(gateway: Gateway, supervisor: Supervisor, word: str) -> None:
    """Cancel what does not exist, again and again: that is admitted as long as anything is."""
    answers = 0
    while _journal(supervisor)["admission"] != word:
        gateway.cancel(1)
        while gateway.wait(0.02 if word == "none" else 10):
            answers += len(gateway.poll())
            break
    assert answers
