"""A failure of the model tells its steps, and the command that it prints takes them again."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.sim.explore import SCHEDULE, Forbidden, explore
from tests.sim.processor import Processor

WORD = np.dtype([("value", "i8")])


def _count_without_a_lock() -> None:
    processor = Processor()
    word = processor.shared("word", WORD)[0]
    load, store = processor.load_relaxed, processor.store_release

    def count() -> None:
        store(word, "value", load(word, "value") + 1)

    def read() -> int:
        return int(load(word, "value"))

    def check(_one: None, _other: None, seen: int) -> None:
        assert seen < 2, "both were counted"

    explore(processor, check, one=count, other=count, reader=read)


def test_a_failure_tells_its_steps_and_how_to_take_them_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Forbidden) as first:
        _count_without_a_lock()
    text = str(first.value)
    assert text.startswith("both were counted\nat the end: {'one': None, 'other': None, 'reader': 2}\n    ")
    steps = [line.split(maxsplit=1) for line in text.splitlines()[2:-1]]
    assert sorted(who for who, _ in steps) == ["one", "one", "other", "other", "reader"]
    assert steps[0][1] == "relaxed load word[0].value = 0 (version 0 of 0)"
    assert "release store word[0].value := 2 (version 2)" in [what for _, what in steps]
    command = re.fullmatch(rf"again: {SCHEDULE}=(\S+) python -m pytest '(.*)'", text.splitlines()[-1])
    assert command
    assert command[2].endswith("test_explore.py::test_a_failure_tells_its_steps_and_how_to_take_them_again")
    monkeypatch.setenv(SCHEDULE, command[1])
    with pytest.raises(Forbidden) as again:
        _count_without_a_lock()
    assert str(again.value) == text
    monkeypatch.setenv(SCHEDULE, "0,0,0,0,0")
    _count_without_a_lock()


def test_an_assertion_of_a_program_is_a_failure_with_its_name() -> None:
    processor = Processor()
    word = processor.shared("word", WORD)[0]

    def reader() -> None:
        assert processor.load_acquire(word, "value") == 0, "it was 1"

    def writer() -> None:
        processor.store_relaxed(word, "value", 1)

    with pytest.raises(Forbidden, match=r"(?s)^reader: it was 1\n.*acquire load word\[0\].value = 1 \(version 1 of 1\)"):
        explore(processor, writer=writer, reader=reader)
