"""Each compiled intrinsic does what its plain Python twin says, word for word."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shm_exchange
from shm_exchange.journal.codec import crc_of_words
from tests.matcher import twins


def _run(seed: int, **switches: str) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")} | switches
    command = [sys.executable, "-m", "tests.matcher.twins", str(seed)]
    done = subprocess.run(command, cwd=Path(shm_exchange.__file__).parents[1], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="module")
def interpreted() -> dict[str, Any]:
    return _run(1, NUMBA_DISABLE_JIT="1")


def test_compiled_and_plain_agree(interpreted: dict[str, Any]) -> None:
    assert twins.answers(1) == interpreted["answers"]


@pytest.mark.long
def test_the_form_for_processors_without_a_crc_agrees(interpreted: dict[str, Any], tmp_path: Path) -> None:
    assert _run(1, NUMBA_CPU_NAME="generic", SHM_EXCHANGE_CACHE=str(tmp_path))["answers"] == interpreted["answers"]


def test_the_crc_is_the_published_one() -> None:
    """RFC 3720, B.4: 32 bytes of zeros, of ones, and ascending."""
    published = {bytes(32): 0x8A9136AA, b"\xff" * 32: 0x62A8AB43, bytes(range(32)): 0x46DD794E}
    assert {data: int(crc_of_words(np.frombuffer(data, np.uint64))) for data in published} == published


def test_neighbouring_words_stay_untouched(interpreted: dict[str, Any]) -> None:
    words = interpreted["answers"][::2]
    assert {tuple(row[index] for index in (0, 2)) for row in words} == {(11, 22)}
    assert len({row[1] for row in words}) > len(words) // 2


def test_clocks_and_futexes_of_both(interpreted: dict[str, Any]) -> None:
    assert interpreted["moments"] == twins.moments() == dict.fromkeys(twins.moments(), True)
