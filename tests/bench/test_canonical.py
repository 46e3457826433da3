"""Messages as commands, and reports as canonical text, against a naive exchange that prints its own lines."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import canonical
from bench.canonical import canonical_digest, to_commands, to_log_records, write_lines
from bench.flow import SCENARIOS, generate
from shm_exchange.domain.enums import CommandKind, EventKind, Flag, OrderType, RejectReason, SelfTradePrevention, Side, TimeInForce
from shm_exchange.domain.errors import ConfigError
from shm_exchange.layout.records import COMMAND
from shm_exchange.protocol.referee import MESSAGE
from tests.bench import naive

SESSION = 3
FIRST = 2
NO_ORDER = SESSION << 40 | (1 << 40) - 1


def flow_of(*messages):
    """Messages from rows of kind, side, ioc, quantity, id, price."""
    rows = [(kind, side, ioc, 0, quantity, i, key, price, 0) for i, (kind, side, ioc, quantity, key, price) in enumerate(messages)]
    return np.array(rows, MESSAGE)


MESSAGES = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 1), st.integers(1, 9), st.integers(1, 6), st.integers(-2, 12)), max_size=60
).map(lambda rows: flow_of(*rows))


def without_reused_open_ids(messages):
    """The referee never enters an id that is still open; drop such messages."""
    exchange = naive.NaiveExchange(SESSION, FIRST)
    kept: list[tuple] = []
    for message in messages.tolist():
        if message[0] != 0 or message[6] not in exchange.resting:
            exchange.apply(len(kept), message)
            kept.append(message)
    answer = np.array(kept, MESSAGE)
    answer["sequence"] = np.arange(len(kept))
    return answer


@given(MESSAGES.map(without_reused_open_ids))
def test_any_flow_has_the_digest_of_the_lines_as_printed(messages):
    exchange = naive.run(messages, SESSION, FIRST)
    assert canonical_digest(messages, exchange.reports(), SESSION, FIRST) == (exchange.digest(), exchange.matches)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_generated_flows_too(scenario, monkeypatch):
    monkeypatch.setattr(canonical, "_LINES_A_CHUNK", 1000)
    messages = generate(scenario, 23, 2000)
    exchange = naive.run(messages, 1, 77)
    assert exchange.matches > 0
    assert canonical_digest(messages, exchange.reports(), 1, 77) == (exchange.digest(), exchange.matches)


def test_lines_read_as_the_referee_prints_them():
    messages = flow_of(
        (0, 1, 0, 10, 1, 100), (0, 0, 1, 15, 2, 101), (1, 0, 0, 0, 1, 0), (2, 0, 0, 5, 9, 100), (0, 1, 0, 8, 3, 90), (2, 1, 0, 4, 3, 80)
    )
    text = "0,0,1,1,100,10|0,1,0,2,101,15|1,1,100,10,1,2|2,1,0,2,101|4,2,1|5,3,9|0,4,1,3,90,8|3,5,1,3,80,4".replace("|", "\n")
    exchange = naive.run(messages, SESSION, FIRST)
    assert exchange.text() == text
    assert canonical_digest(messages, exchange.reports(), SESSION, FIRST) == (hashlib.sha256(text.encode()).hexdigest(), 1)


def test_a_modify_that_trades_prints_its_trades_first():
    messages = flow_of((0, 1, 0, 10, 1, 100), (0, 0, 0, 10, 2, 99), (2, 0, 0, 10, 2, 100))
    exchange = naive.run(messages, SESSION, FIRST)
    assert exchange.text().endswith("1,2,100,10,1,2\n3,2,0,2,100,10")
    assert canonical_digest(messages, exchange.reports(), SESSION, FIRST)[0] == exchange.digest()


def test_an_empty_flow_has_the_digest_of_nothing():
    nothing = flow_of()
    assert canonical_digest(nothing, naive.run(nothing).reports(), SESSION, FIRST) == (hashlib.sha256(b"").hexdigest(), 0)


def test_numbers_are_written_in_decimal():
    numbers = np.array([[0, -1, 9, 10, 10**18, 2**63 - 1]])
    buffer = np.empty(200, np.uint8)
    used = write_lines(buffer, numbers, np.array([6]))
    assert buffer[:used].tobytes() == b"\n0,-1,9,10,1000000000000000000,9223372036854775807"


def damaged(change):
    messages = flow_of((0, 1, 0, 10, 1, 100), (0, 0, 1, 15, 2, 101), (1, 0, 0, 0, 7, 0))
    reports = naive.run(messages, SESSION, FIRST).reports()
    return messages, change(reports)


def with_value(index, field, value):
    def change(reports):
        reports[index][field] = value
        return reports

    return change


def renumbered(reports):
    reports["number"] = np.arange(len(reports))
    return reports


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda reports: np.delete(reports, 1), "gap"),
        (lambda reports: reports[2:], "begins with a trade"),
        (lambda reports: renumbered(np.delete(reports, 3)), "only one of its two reports"),
        (lambda reports: renumbered(reports[[0, 1, 3, 2, 4, 5]]), "do not belong together"),
        (with_value(3, "cause_id", 9), "do not belong together"),
        (with_value(0, "cause_id", SESSION << 40 | 99), "outside the flow"),
        (with_value(0, "cause_id", 1 << 40 | FIRST), "outside the flow"),
        (with_value(0, "order_id", SESSION << 40 | 99), "none of session"),
        (with_value(0, "order_id", 1 << 40 | FIRST), "none of session"),
        (with_value(0, "kind", EventKind.REJECTED), "no line"),
        (with_value(4, "kind", EventKind.REDUCED), "no line"),
    ],
)
def test_reports_that_cannot_be_an_answer_are_refused(change, why):
    messages, reports = damaged(change)
    with pytest.raises(ConfigError, match=why):
        canonical_digest(messages, reports, SESSION, FIRST)


def test_new_becomes_enter():
    command = to_commands(flow_of((0, 1, 0, 10, 1, 100), (0, 0, 1, 15, 2, 101)), SESSION, FIRST)
    expected = np.zeros(2, COMMAND)
    expected["number"] = 2, 3
    expected["price_ticks"] = 100, 101
    expected["quantity"] = 10, 15
    expected["kind"] = CommandKind.ENTER
    expected["side"] = Side.SELL, Side.BUY
    expected["order_type"] = OrderType.LIMIT
    expected["time_in_force"] = TimeInForce.GTC, TimeInForce.IOC
    expected["self_trade"] = SelfTradePrevention.NONE
    np.testing.assert_array_equal(command, expected)


def test_cancel_and_modify_name_the_latest_new_of_their_id():
    messages = flow_of(
        (1, 0, 0, 0, 5, 0), (0, 0, 0, 1, 5, 1), (2, 0, 0, 7, 5, 9), (0, 0, 0, 1, 6, 1), (0, 0, 0, 1, 5, 1), (1, 0, 0, 0, 5, 0), (1, 0, 0, 0, 6, 0)
    )
    commands = to_commands(messages, SESSION, FIRST)
    order = SESSION << 40 | FIRST
    assert commands["order_id"].tolist() == [NO_ORDER, 0, order + 1, 0, 0, order + 4, order + 3]
    assert commands[2].tolist() == (FIRST + 2, order + 1, 0, 9, 7, CommandKind.REPLACE, 0, 0, 0, SelfTradePrevention.NONE, Flag.REINSERT, 0, 0, 0)
    assert commands[5].tolist() == (FIRST + 5, order + 4, 0, 0, 0, CommandKind.CANCEL, 0, 0, 0, 0, 0, 0, 0, 0)


@given(MESSAGES)
def test_targets_are_those_of_a_dictionary(messages):
    latest, expected = {}, []
    for index, message in enumerate(messages.tolist()):
        if message[0] == 0:
            latest[message[6]] = SESSION << 40 | FIRST + index
            expected.append(0)
        else:
            expected.append(latest.get(message[6], NO_ORDER))
    assert to_commands(messages, SESSION, FIRST)["order_id"].tolist() == expected


def test_log_records_carry_command_ids_in_a_copy():
    commands = to_commands(flow_of((0, 1, 0, 10, 1, 100)), SESSION, FIRST)
    records = to_log_records(commands, SESSION)
    assert records["command_id"].tolist() == [SESSION << 40 | FIRST]
    assert commands["number"].tolist() == [FIRST]
    assert records.tobytes()[8:] == commands.tobytes()[8:]


def test_the_naive_exchange_rejects_as_the_engine_does():
    rows = naive.run(flow_of((1, 0, 0, 0, 5, 0)), SESSION, FIRST).reports()
    assert (rows["kind"][0], rows["reason"][0], rows["order_id"][0]) == (EventKind.REJECTED, RejectReason.UNKNOWN_ORDER, NO_ORDER)
