"""LOBSTER's two files as arrays, and what is no such file."""

from __future__ import annotations

import pytest

from shm_exchange.domain.enums import Side
from shm_exchange.domain.errors import ConfigError, PriceError, QuantityError
from shm_exchange.domain.instrument import Instrument
from shm_exchange.protocol.lobster import decode_book, decode_messages, is_messages
from shm_exchange.protocol.lobster_day import day_of, instrument_for
from shm_exchange.protocol.lobster_flow import plan

LINE = b"34200.004241176,1,16113575,18,5853300,1\n"


def test_a_message_is_read_to_the_nanosecond() -> None:
    messages = decode_messages(LINE + b"86399.999999999,4,9007199254740993,1,100,-1\n", "m")
    assert messages.tolist() == [(34_200_004_241_176, 1, Side.BUY, 16113575, 18, 5853300), (86_399_999_999_999, 4, Side.SELL, 2**53 + 1, 1, 100)]


def test_later_columns_and_the_rows_behind_the_last_are_not_read() -> None:
    assert len(decode_messages(LINE.replace(b"\n", b",null\n") * 3 + b"nonsense", "m", 2)) == 2


def test_hidden_executions_and_halts_need_no_order() -> None:
    assert decode_messages(b"1,5,0,0,0,1\n1,7,0,0,-1,-1\n", "m")["kind"].tolist() == [5, 7]


def test_a_book_has_the_best_bid_first() -> None:
    book = decode_book(b"101,7,99,5,102,1,-9999999999,0\n", "b")
    assert book.tolist() == [[[(99, 5), (0, 0)], [(101, 7), (102, 1)]]]


def test_messages_are_told_from_other_forms() -> None:
    assert is_messages(LINE)
    assert not is_messages(b"time_ns,action,a,b,c,d\n")
    assert not is_messages(b"1,2,3\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "m is empty"),
        (LINE + b"34201,1,2,3,4\n", "m, line 2: it has 5 columns, and 6 are needed"),
        (LINE + b"34201,1,x,3,4,1\n", "m, line 2: 'x' in column 3 is no whole number; correct the line, or stop in front of it with --rows 1"),
        (LINE + b"34201,1,2.5,3,4,1\n", "m, line 2: '2.5' in column 3 is no whole number"),
        (LINE + b"34201,1,99999999999999999999,3,4,1\n", "m, line 2: '99999999999999999999' in column 3"),
        (LINE + b"34199,1,2,3,4,1\n", "m, line 2: its time"),
        (b"nan,1,2,3,4,1\n", "m, line 1: its time"),
        (LINE + b"34201,8,2,3,4,1\n", "m, line 2: its type"),
        (LINE + b"34201,1,2,3,4,0\n", "m, line 2: its direction"),
        (LINE + b"34201,1,0,3,4,1\n", "m, line 2: its order id"),
        (LINE + b"34201,1,2,0,4,1\n", "m, line 2: its size"),
        (LINE + b"34201,1,2,3,-4,1\n", "m, line 2: its price"),
    ],
)
def test_a_line_that_is_no_message_is_named(text: bytes, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        decode_messages(text, "m")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"1,2,3\n", "b, line 1: 3 columns are not four for every level"),
        (b"1,2,3,4\n1,2,3\n", "b, line 2: it has 3 columns"),
        (b"1,2,3,4\n1,-2,3,4\n", "b, line 2: a size is below 0"),
    ],
)
def test_a_line_that_is_no_book_is_named(text: bytes, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        decode_book(text, "b")
    assert said in str(error.value)


def test_an_instrument_is_made_up_of_cents_where_they_do() -> None:
    cents, finer = decode_messages(LINE, "m"), decode_messages(LINE.replace(b"5853300", b"5853350"), "m")
    assert instrument_for("X", cents, None) == Instrument("X", "0.01")
    assert instrument_for("X", finer, None) == Instrument("X", "0.0001")
    assert instrument_for("X", cents, decode_book(b"5853350,1,1,0\n", "b")) == Instrument("X", "0.0001")


def test_what_does_not_fit_an_instrument_is_refused() -> None:
    messages = decode_messages(LINE, "m")

    def day(tick: str, lot: str) -> object:
        return (
            day_of(messages, None, plan(messages, None), 0, "replay", (Instrument("X", tick, lot),))
            .flow.commands[["price_ticks", "quantity"]]
            .tolist()
        )

    assert day("0.005", "0.5") == [(117_066, 36)]
    with pytest.raises(PriceError, match="5853300 ten-thousandths are not a multiple of the tick"):
        day("0.04", "1")
    with pytest.raises(QuantityError, match="18 shares are not a multiple of the lot 100"):
        day("0.01", "100")
