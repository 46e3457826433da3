"""`journal replay` and `journal compact`, as commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from shm_exchange.cli.main import app
from shm_exchange.domain.config import TermStart
from shm_exchange.domain.enums import EventKind
from shm_exchange.domain.errors import JournalError
from shm_exchange.engine.check import CHECKS
from shm_exchange.journal.checkpoints import no_image
from shm_exchange.journal.folder import FolderLock, checkpoint_path, checkpoint_paths, segment_paths
from shm_exchange.journal.reading import Journal
from shm_exchange.journal.replaying import Replay
from shm_exchange.journal.segments import SegmentWriter
from shm_exchange.layout.records import COMMAND_WORDS
from tests.journal.histories import COMMANDS, SEGMENT_RECORDS, checkpoint_at, history, record, spoil

HALF = COMMANDS // 2


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    past = history("market")
    record(tmp_path, past.config, past.log)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["journal", *arguments])


def figures(*arguments: str) -> dict[str, Any]:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def firsts(directory: Path) -> list[int]:
    return [first for first, _ in segment_paths(directory)]


def hash_at_the_end(directory: Path) -> int:
    replay = Replay(Journal(directory))
    replay.advance(COMMANDS)
    return replay.state_hash()


def test_replay_says_what_became_of_the_log(directory: Path) -> None:
    past = history("market")
    found = figures("replay", str(directory))
    assert found["state_hash"] == past.hashes[-1]
    assert (found["commands"], found["events"]) == (COMMANDS, len(past.events))
    assert found["trades"] == np.count_nonzero(past.events["kind"] == EventKind.EXECUTED)
    assert found["rejects"] == sum(np.count_nonzero(reports["kind"] == EventKind.REJECTED) for reports in past.reports.values())
    assert (found["began_at"], found["checkpoint"], found["check"]) == (0, None, CHECKS[0])
    told = run("replay", str(directory)).stdout
    assert str(past.hashes[-1]) in told
    assert f"behind command {COMMANDS:,}, replayed from the first command" in told


def test_replay_to_a_number(directory: Path) -> None:
    found = figures("replay", str(directory), "--to", str(HALF))
    assert (found["commands"], found["state_hash"]) == (HALF, history("market").hashes[HALF])


def test_replay_begins_at_a_checkpoint_unless_told_otherwise(directory: Path) -> None:
    checkpoint_at(directory, history("market"), HALF)
    short, whole = figures("replay", str(directory)), figures("replay", str(directory), "--no-checkpoint")
    assert (short["began_at"], short["checkpoint"]) == (HALF, checkpoint_path(directory, HALF).name)
    assert (whole["began_at"], whole["checkpoint"]) == (0, None)
    same = set(short) - {"began_at", "checkpoint"}
    assert {name: short[name] for name in same} == {name: whole[name] for name in same}


def test_replay_of_what_is_not_there(directory: Path, tmp_path: Path) -> None:
    assert isinstance(run("replay", str(tmp_path / "nothing")).exception, JournalError)
    assert isinstance(run("replay", str(directory), "--to", str(COMMANDS + 1)).exception, JournalError)


def test_compact_keeps_what_the_older_of_two_checkpoints_needs(directory: Path) -> None:
    for sequence in (HALF, HALF + 5, COMMANDS):
        checkpoint_at(directory, history("market"), sequence)
    before, expected = firsts(directory), (HALF + 5) // SEGMENT_RECORDS * SEGMENT_RECORDS
    planned = figures("compact", str(directory), "--dry-run")
    assert firsts(directory) == before
    found = figures("compact", str(directory))
    assert firsts(directory) == [first for first in before if first >= expected]
    assert len(found["removed"]) == expected // SEGMENT_RECORDS > 0
    assert planned == found | {"dry_run": True}
    assert (found["needed_from"], found["checkpoint_made"]) == (HALF + 5, None)
    assert [sequence for sequence, _ in checkpoint_paths(directory)] == [HALF + 5, COMMANDS]
    assert hash_at_the_end(directory) == history("market").hashes[-1]
    checkpoint_path(directory, COMMANDS).unlink()
    assert hash_at_the_end(directory) == history("market").hashes[-1]
    assert figures("compact", str(directory))["removed"] == []


def test_compact_makes_a_checkpoint_where_there_is_none(directory: Path) -> None:
    assert figures("compact", str(directory), "--dry-run")["checkpoint_made"] == COMMANDS
    assert checkpoint_paths(directory) == []
    found = figures("compact", str(directory))
    assert (found["checkpoint_made"], found["needed_from"]) == (COMMANDS, COMMANDS)
    assert len(firsts(directory)) == 1
    assert hash_at_the_end(directory) == history("market").hashes[-1]
    past = history("market")
    record(directory, past.config, np.concatenate([past.log, past.log[:5]]), COMMANDS, TermStart(2, COMMANDS, 7))


def test_compact_believes_no_damaged_checkpoint(directory: Path) -> None:
    checkpoint_at(directory, history("market"), HALF)
    spoil(checkpoint_path(directory, HALF), lambda data: data.__setitem__(-1, 255))
    found = figures("compact", str(directory), "--dry-run")
    assert (found["checkpoint_made"], found["needed_from"]) == (COMMANDS, COMMANDS)


def test_compact_counts_on_nothing_that_a_power_loss_could_take(tmp_path: Path) -> None:
    """A checkpoint behind the durable number may be all that is left of what it knows."""
    past = history("market")
    ring = np.zeros(1 << COMMANDS.bit_length(), past.log.dtype)
    ring[:COMMANDS] = past.log
    writer = SegmentWriter(tmp_path, past.config, TermStart(), 0, segment_records=SEGMENT_RECORDS, durable_mode=False)
    writer.append(ring.view(COMMAND_WORDS), 0, HALF)
    writer.sync()
    writer.append(ring.view(COMMAND_WORDS), HALF, COMMANDS)
    writer.close(clean=False)
    checkpoint_at(tmp_path, past, COMMANDS)
    found = figures("compact", str(tmp_path))
    assert (found["checkpoint_made"], found["needed_from"]) == (HALF, HALF)
    assert hash_at_the_end(tmp_path) == past.hashes[-1]


def test_compact_beside_a_writer_removes_only_what_is_old(directory: Path) -> None:
    lock = FolderLock(directory)
    try:
        found = figures("compact", str(directory))
        assert (found["live"], found["removed"], found["checkpoint_made"]) == (True, [], None)
        assert "nothing was removed: its exchange has made no checkpoint yet" in run("compact", str(directory)).stdout
        for sequence in (HALF - 1, HALF, COMMANDS):
            checkpoint_at(directory, history("market"), sequence)
        assert len(figures("compact", str(directory))["removed"]) == HALF // SEGMENT_RECORDS
        assert len(checkpoint_paths(directory)) == 3
    finally:
        lock.close()
    assert hash_at_the_end(directory) == history("market").hashes[-1]


def test_compact_of_what_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        assert isinstance(run("compact", str(path)).exception, JournalError)
    assert list(tmp_path.iterdir()) == []


def test_what_is_gone_cannot_be_replayed_from_the_first_command(directory: Path) -> None:
    figures("compact", str(directory))
    done = run("replay", str(directory), "--no-checkpoint")
    assert isinstance(done.exception, JournalError)
    with pytest.raises(JournalError, match="no checkpoint serves"):
        Replay(Journal(directory), suits=no_image)
