"""Journals of tests lie in memory: there every sync is free, and what is tested is what happens, not a disk."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journal.logs import IN_MEMORY


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY, prefix="journal-") as folder:
        yield Path(folder)
