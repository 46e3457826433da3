"""What the tests of pipelines share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """A file in which items leave their traces; beside it a FIFO on which one that hangs says its process."""
    os.mkfifo(tmp_path / "trace.fifo")
    return tmp_path / "trace"
