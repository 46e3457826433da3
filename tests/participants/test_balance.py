"""Symbols dealt out to groups, the stream of orders, and the check of their order."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shm_exchange.domain.enums import Side
from shm_exchange.domain.errors import ConfigError
from shm_exchange.participants.balance import Groups, OrderCheck, orders

SYMBOLS = ["ACME", "GLOBEX", "INITECH", "HOOLI", "UMBRELLA", "STARK", "WAYNE"]


def test_groups_are_even_whole_and_the_same_again() -> None:
    groups = Groups(SYMBOLS, 3)
    assert sorted(len(groups.symbols_of(group)) for group in range(3)) == [2, 2, 3]
    assert sorted(symbol for group in range(3) for symbol in groups.symbols_of(group)) == sorted(SYMBOLS)
    again = Groups(SYMBOLS[::-1], 3)
    assert all(groups.group_of(symbol) == again.group_of(symbol) for symbol in SYMBOLS)
    assert {symbol: Groups(["A", "B", "C"], 3).group_of(symbol) for symbol in "ABC"} == {"A": 2, "B": 1, "C": 0}, "in every process, for ever"
    for wrong in (0, 8):
        with pytest.raises(ConfigError, match="groups"):
            Groups(SYMBOLS, wrong)
    with pytest.raises(KeyError):
        groups.group_of("NOBODY")


def test_the_stream_is_its_seed_and_counts_each_symbol() -> None:
    stream = list(orders(SYMBOLS, 2000, seed=3))
    assert stream == list(orders(SYMBOLS, 2000, seed=3)) != list(orders(SYMBOLS, 2000, seed=4))
    assert len(stream) == 2000
    for symbol, count in Counter(order.symbol for order in stream).items():
        assert [order.number for order in stream if order.symbol == symbol] == list(range(1, count + 1))
    assert {order.side for order in stream} == set(Side)
    assert all(order.price_ticks > 0 and 1 <= order.lots <= 9 for order in stream)


@given(st.permutations([("A", 1), ("A", 2), ("B", 1), ("A", 3), ("B", 2)]))
def test_only_the_order_of_each_symbol_holds(seen: list[tuple[str, int]]) -> None:
    check = OrderCheck()
    for symbol, number in seen:
        check.look(0, symbol, number)
    a, b = ([number for symbol, number in seen if symbol == name] for name in "AB")
    assert check.holds == (a == [1, 2, 3] and b == [1, 2])
    assert check.seen == 5
    if check.holds:
        assert check.counts() == {"A": 3, "B": 2}


def test_repeats_holes_and_strays_are_found() -> None:
    for numbers in ([1, 1], [2], [1, 3]):
        check = OrderCheck()
        for number in numbers:
            check.look(0, "A", number)
        assert check.out_of_order
    check = OrderCheck()
    for number in (1, 3, 2):
        check.look(0, "A", number)
    assert check.counts() == {"A": 3}
    check = OrderCheck()
    check.look(0, "A", 1)
    check.look(1, "A", 2)
    assert (check.out_of_order, check.astray, check.holds) == (0, 1, False)
