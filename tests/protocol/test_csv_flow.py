"""Our CSV form: what we write we read, exactly, and a row that cannot be meant is named by its line."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shm_exchange.domain.enums import CommandKind, Flag, OrderType, SelfTradePrevention, Side, TimeInForce
from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.instrument import Instrument
from shm_exchange.layout.records import ALL_INSTRUMENTS, COMMAND
from shm_exchange.protocol.csv_flow import decode_flow, instruments_of
from shm_exchange.protocol.csv_table import CsvTable
from shm_exchange.protocol.csv_writer import encode_flow
from shm_exchange.protocol.flow import Flow

ACME, FINE = INSTRUMENTS = (Instrument("ACME", "0.01", "1"), Instrument("F,1", "0.005", "0.1", min_price="-10"))
SESSIONS = ("alice", 'b"ob,', "carol")
FORM = b"time_ns,session,action,client_order_id,symbol,side,price,quantity,order_type,time_in_force,self_trade,flags\n"


def table(text: bytes) -> CsvTable:
    return CsvTable(text, "day.csv")


def decoded(text: bytes, *instruments: Instrument, symbol: str | None = None) -> Flow:
    return decode_flow(table(text), instruments or (ACME,), "replay", symbol)


ids = st.integers(1, 2**64 - 1)
ticks = st.integers(1, 2**52 - 1)
lots = st.integers(1, 2**40 - 1)
sides = st.sampled_from(Side)
modes = st.sampled_from(SelfTradePrevention)
posted = st.sampled_from([0, Flag.POST_ONLY, Flag.POST_ONLY | Flag.SLIDE])
indexes = st.sampled_from([0, 1])


@st.composite
def commands(draw):
    """One command that says something, all else 0: a row of COMMAND as a dict."""
    kind = draw(st.sampled_from(["limit", "market", "cancel", "reduce", "replace", "mass_cancel"]))
    if kind == "limit":
        tif = draw(st.sampled_from(TimeInForce))
        names = {"kind": CommandKind.ENTER, "order_type": OrderType.LIMIT, "time_in_force": tif, "price_ticks": draw(ticks)}
        return names | {
            "modifiers": draw(posted) if tif is TimeInForce.GTC else 0,
            "client_order_id": draw(st.one_of(st.just(0), ids)),
            "side": draw(sides),
            "quantity": draw(lots),
            "self_trade": draw(modes),
            "instrument": draw(indexes),
        }
    if kind == "market":
        protected = draw(st.booleans())
        names = {
            "kind": CommandKind.ENTER,
            "order_type": OrderType.MARKET,
            "time_in_force": draw(st.sampled_from([TimeInForce.IOC, TimeInForce.FOK])),
        }
        names |= {"price_ticks": draw(ticks), "modifiers": Flag.PROTECTED} if protected else {}
        return names | {"side": draw(sides), "quantity": draw(lots), "self_trade": draw(modes), "instrument": draw(indexes)}
    if kind == "mass_cancel":
        side, instrument = draw(st.sampled_from([0, 1, 2])), draw(st.sampled_from([0, 1, ALL_INSTRUMENTS]))
        return {"kind": CommandKind.MASS_CANCEL, "side": side, "instrument": instrument, "modifiers": draw(st.sampled_from([0, Flag.ACCOUNT]))}
    named = {"kind": CommandKind[kind.upper()], "client_order_id": draw(ids), "instrument": draw(indexes)}
    if kind == "reduce":
        return named | {"quantity": draw(lots)}
    if kind == "replace":
        flags = draw(posted) | draw(st.sampled_from([0, Flag.REINSERT]))
        return named | {"price_ticks": draw(ticks), "quantity": draw(lots), "self_trade": draw(modes), "modifiers": flags}
    return named


@given(st.lists(st.tuples(commands(), st.sampled_from([0, 1, 2]), st.integers(0, 10**12)), min_size=1, max_size=12), st.booleans())
def test_what_is_written_is_read(rows, timed):
    records = np.zeros(len(rows), COMMAND)
    for record, (command, _, _) in zip(records, rows, strict=True):
        for name, value in command.items():
            record[name] = value
    names = tuple(dict.fromkeys(SESSIONS[number] for _, number, _ in rows))
    session_of = np.array([names.index(SESSIONS[number]) for _, number, _ in rows])
    times = np.cumsum([gap for _, _, gap in rows]) if timed else None
    flow = Flow(records, session_of, np.arange(len(rows)), times, names, INSTRUMENTS)
    again = decoded(encode_flow(flow), *INSTRUMENTS)
    np.testing.assert_array_equal(again.commands, records)
    np.testing.assert_array_equal(again.session_of, session_of)
    assert again.sessions == names
    if timed:
        np.testing.assert_array_equal(again.time_ns, times)
    else:
        assert again.time_ns is None


def test_columns_come_in_any_order_and_the_rest_is_the_default():
    flow = decoded(b"price,quantity,side,action\n 9.50 , 3 ,BUY,enter\n")
    (record,) = flow.commands
    assert (record["price_ticks"], record["quantity"], record["side"]) == (950, 3, Side.BUY)
    assert (record["order_type"], record["time_in_force"], record["self_trade"]) == (OrderType.LIMIT, TimeInForce.GTC, SelfTradePrevention.NONE)
    assert flow.sessions == ("replay",)


def test_a_market_order_is_ioc_and_a_price_protects_it():
    flow = decoded(b"action,side,price,quantity,order_type\nenter,sell,,3,market\nenter,sell,9.5,3,market\n")
    assert flow.commands["time_in_force"].tolist() == [TimeInForce.IOC] * 2
    assert flow.commands["modifiers"].tolist() == [0, Flag.PROTECTED]


def test_iso_times_are_nanoseconds():
    flow = decoded(b"time,action,client_order_id\n1970-01-01T00:00:01.000000007Z,cancel,1\n1970-01-02 00:00,cancel,1\n")
    assert flow.time_ns is not None
    assert flow.time_ns.tolist() == [1_000_000_007, 86_400 * 10**9]


def test_instruments_that_fit_are_made_up():
    text = b"action,symbol,side,price,quantity\nenter,B,buy,1.2500,3\nenter,B,buy,-0.5,1e1\nenter,,sell,7,0.001\n"
    fine, plain = instruments_of(table(text), "X")
    assert (fine.symbol, fine.tick, fine.lot, fine.min_ticks) == ("B", Decimal("0.01"), Decimal(1), -50)
    assert (plain.symbol, plain.tick, plain.lot, plain.min_ticks) == ("X", Decimal(1), Decimal("0.001"), 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "no column 'action'"),
        (b"action,prize\n", "no column 'prize'; did you mean 'price'"),
        (b"action,action\n", "twice"),
        (b"action,time,time_ns\n", "twice"),
        (b"\xff\n", "no CSV in UTF-8"),
        (b"action,client_order_id\ncancel,1\ncancel\n", "line 3: it has 1 columns and the header has 2"),
        (b"action,client_order_id\ncancel,1\nkansel,1\n", "line 3: action 'kansel': it must be one of enter, cancel, reduce"),
        (b"action,client_order_id\ncancel,-1\n", "line 2: client_order_id '-1'"),
        (b"action,client_order_id\ncancel,18446744073709551616\n", "line 2: client_order_id"),
        (b"action\ncancel\n", "line 2: cancel needs a client_order_id"),
        (b"action,client_order_id,price\ncancel,1,5\n", "line 2: cancel takes no price"),
        (b"action,side,quantity\nenter,buy,5\n", "line 2: a limit order needs a price"),
        (b"action,price,quantity\nenter,5,5\n", "line 2: enter needs a side"),
        (b"action,side,price,quantity\nenter,buy,5,5\nenter,buy,5.001,5\n", "line 3: price '5.001': price 5.001 is not a multiple of the tick 0.01"),
        (b"action,side,price,quantity\nenter,buy,5,0.5\n", "line 2: quantity '0.5': quantity 0.5 is not a multiple"),
        (b"action,side,price,quantity\nenter,buy,five,5\n", "line 2: price 'five'"),
        (b"action,side,price,quantity\nenter,buy,1e30,5\n", "line 2: price '1e30': it does not fit a 64-bit word"),
        (b"action,symbol,client_order_id\ncancel,ACNE,1\n", "line 2: symbol 'ACNE': there is no such instrument; did you mean 'ACME'"),
        (b"action,session,client_order_id\ncancel,a b,1\n", "line 2: session 'a b'"),
        (b"action,flags,side,price,quantity\nenter,hidden,buy,1,1\n", "line 2: flags 'hidden'"),
        (b"action,client_order_id,time_ns\ncancel,1,5\ncancel,1,4\n", "line 3: its time_ns is before that of the line above it"),
        (b"action,client_order_id,time_ns\ncancel,1,5\ncancel,1,\n", "line 3: time_ns ''"),
        (b"action,client_order_id,time\ncancel,1,2026-01-05T09:30+02:00\n", "line 2: time '2026-01-05T09:30+02:00': it is not ISO 8601 in UTC"),
    ],
)
def test_what_cannot_be_meant_is_named(text, said):
    with pytest.raises(ConfigError) as error:
        decoded(text)
    assert said in str(error.value)
    assert str(error.value).startswith("day.csv")


def test_of_several_instruments_one_must_be_said():
    text = b"action,client_order_id\ncancel,1\n"
    with pytest.raises(ConfigError, match="line 2: it names no symbol, and there are several: ACME, F,1"):
        decoded(text, *INSTRUMENTS)
    assert decoded(text, *INSTRUMENTS, symbol="F,1").commands["instrument"].tolist() == [1]


def test_open_orders_are_bounded_by_what_is_canceled_by_name():
    rows = [
        b"enter,1,buy,1,1,gtc",
        b"cancel,1,,,,",
        b"enter,1,buy,1,1,gtc",
        b"enter,2,buy,65,1,ioc",
        b"replace,1,,2,1,",
        b"cancel,1,,,,",
        b"cancel,1,,,,",
    ]
    flow = decoded(
        b"action,client_order_id,side,price,quantity,time_in_force\n" + b"\n".join([*rows, b"enter,3,buy,1,1,", b"enter,4,buy,1,1,"]) + b"\n"
    )
    assert flow.open_orders_bound() == 2
    assert flow.pages_bound(64) == 2 * 4  # of 0, 100, 200 and 6500 ticks
