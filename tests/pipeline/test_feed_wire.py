"""Frames of a feed: what is taken, what is refused, and with which words."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shm_exchange.domain.errors import ConfigError
from shm_exchange.pipeline.feed_gaps import Gaps
from shm_exchange.pipeline.feed_source import random_ticks, ticks_at
from shm_exchange.pipeline.feed_wire import BadFrame, FeedTick, answer_in, checked_symbols, parse_tick, subscribe_frame, tick_frame
from shm_exchange.pipeline.tick import TICK, Tick

GOOD: dict[str, Any] = {"symbol": "BTC", "timestamp": 1_700_000_000_000_000_000, "bid": 1, "ask": 2}


NO_NUMBERS: tuple[Any, ...] = (None, True, "", "x", "nan", math.nan, math.inf, "1e999", 10**400, [], {})


def parsed(**changes: Any) -> Tick:
    tick = parse_tick(json.dumps(GOOD | changes))
    assert isinstance(tick, Tick)
    return tick


def test_a_tick_of_numbers_and_of_decimals() -> None:
    whole = parsed(bid="42000.5", ask=42001, bid_size="1e-3", ask_size=2.5, volume=7, sequence=12)
    assert whole == Tick("BTC", 1_700_000_000_000_000_000, 42000.5, 42001.0, 0.001, 2.5, 7.0)
    assert isinstance(whole, FeedTick)
    assert whole.sequence == 12
    assert parsed() == Tick("BTC", 1_700_000_000_000_000_000, 1.0, 2.0)
    assert parsed(bid=-37.63, ask=-40).bid == -37.63, "negative and crossed prices exist"


@pytest.mark.parametrize(
    ("said", "nanoseconds"),
    [
        (1_700_000_000_123, 1_700_000_000_123_000_000),
        (1_700_000_000_123_456_789, 1_700_000_000_123_456_789),
        ("2023-11-14T22:13:20Z", 1_700_000_000_000_000_000),
        ("2023-11-14T22:13:20.000123", 1_700_000_000_000_123_000),
        ("2023-11-14T23:13:20.123456789+01:00", 1_700_000_000_123_456_000),
        (0, 0),
    ],
)
def test_timestamps(said: Any, nanoseconds: int) -> None:
    assert parsed(timestamp=said).timestamp_ns == nanoseconds


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        *(({name: value}, name) for name in ("bid", "ask") for value in NO_NUMBERS),
        *(({name: value}, name) for name in ("bid_size", "ask_size", "volume") for value in (-1, "-0.5", math.inf, None, "x")),
        *(({"symbol": value}, "symbol") for value in (None, "", "A" * 17, "ÄÖ", 7, "A\x00", "A\n")),
        *(({"timestamp": value}, "timestamp") for value in (None, -1, 1.5, True, "yesterday", 2**63, "0001-01-01T00:00:00", "9999-01-01T00:00:00Z")),
        *(({"sequence": value}, "sequence") for value in (-1, 1.5, "12", True, 2**63)),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(BadFrame, match=f"^{word} "):
        parsed(**changes)


@pytest.mark.parametrize("frame", ["", "{", b"\xff\xfe", "[" * 100_000, "1" * 5000, "7", '"BTC"', "null", "[1]", '[[{"symbol":"BTC"}]]'])
def test_what_is_no_tick(frame: str | bytes) -> None:
    with pytest.raises(BadFrame):
        parse_tick(frame)


@given(
    st.binary(max_size=200)
    | st.text(max_size=200)
    | st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists).map(json.dumps)
)
def test_nothing_else_is_ever_raised(frame: str | bytes) -> None:
    with suppress(BadFrame):
        parse_tick(frame)
    assert answer_in(frame) is None


_numbers = st.floats(allow_nan=False, allow_infinity=False)
_sizes = st.floats(min_value=0, allow_infinity=False)
_symbols = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=16)


@given(st.builds(Tick, _symbols, st.integers(10**15, 2**63 - 1), _numbers, _numbers, _sizes, _sizes, _sizes), st.none() | st.integers(0, 2**63 - 1))
def test_a_tick_travels_unchanged(tick: Tick, sequence: int | None) -> None:
    arrived = parse_tick(tick_frame(tick, sequence))
    assert isinstance(arrived, FeedTick)
    assert arrived == tick
    assert arrived.sequence == sequence
    assert Tick.of(arrived.record()[0]) == tick
    assert arrived.record().dtype == TICK


def test_a_list_of_ticks_is_one_frame() -> None:
    assert parse_tick(json.dumps([GOOD, GOOD | {"symbol": "ETH"}])) == [parsed(), parsed(symbol="ETH")]
    assert parse_tick("[]") == []


def test_answers_are_told_from_ticks() -> None:
    assert answer_in('{"result": ["BTC"], "id": 1}') == {"result": ["BTC"], "id": 1}
    assert answer_in(b'{"error": {"code": 1}, "id": null}') == {"error": {"code": 1}, "id": None}
    assert answer_in(tick_frame(parsed())) is None
    assert answer_in('{"id": 1, "symbol": "BTC"}') is None
    assert json.loads(subscribe_frame(("BTC",))) == {"method": "subscribe", "params": {"symbols": ["BTC"]}, "id": 1}


def test_symbols_are_checked_and_said_once() -> None:
    assert checked_symbols(["BTC", "ETH", "BTC"]) == ("BTC", "ETH")
    for wrong in ("BTC", ["B" * 17], [7], 7, None):
        with pytest.raises(ConfigError, match="symbol"):
            checked_symbols(wrong)


def numbered(symbol: str, sequence: int | None) -> FeedTick:
    tick = FeedTick(symbol, 0, 1.0, 2.0)
    tick.sequence = sequence
    return tick


def test_gaps_by_sequences() -> None:
    gaps = Gaps()
    for symbol, sequence in (("A", 5), ("A", 6), ("B", 1), ("A", 9), ("A", 8), ("A", 10), ("B", 2)):
        gaps.look(numbered(symbol, sequence))
    assert (gaps.gaps, gaps.missed) == (1, 2)
    gaps.interrupted()
    assert (gaps.gaps, gaps.missed) == (2, 2)
    gaps.look(numbered("A", 14))  # behind an interruption that is counted already
    assert (gaps.gaps, gaps.missed) == (2, 5)
    gaps.interrupted()
    for symbol, sequence in (("A", 1), ("A", 2), ("B", 3)):  # A began anew, of B nothing is missing
        gaps.look(numbered(symbol, sequence))
    assert (gaps.gaps, gaps.missed) == (3, 5)
    gaps.look(numbered("A", 5))  # behind 2, however far A had come before
    assert (gaps.gaps, gaps.missed) == (4, 7)


def test_gaps_without_sequences() -> None:
    gaps = Gaps()
    gaps.look(numbered("A", None))
    gaps.look(Tick("A", 0, 1.0, 2.0))
    gaps.interrupted()
    assert (gaps.gaps, gaps.missed) == (1, 0)


def test_a_walk_is_its_seed() -> None:
    def walk(seed: int) -> list[Tick]:
        return [tick for tick, _ in zip(random_ticks(["A", "B"], seed, 100, start_ns=0), range(500), strict=False)]

    assert walk(1) == walk(1) != walk(2)
    assert [tick.timestamp_ns for tick in walk(1)[:3]] == [0, 10_000_000, 20_000_000]
    assert all(0 < tick.bid < tick.ask for tick in walk(3))
    assert {tick.symbol for tick in walk(1)} == {"A", "B"}
    assert [tick.mid_price for tick in ticks_at("A", [1.0, 2.0], half_spread=0.5)] == [1.0, 2.0]
