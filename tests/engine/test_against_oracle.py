"""The engine does what the rule book does: every report, every event and every queue, on seeded flow of every kind of command."""

from __future__ import annotations

import random

import numpy as np
import pytest

from shm_exchange._jit import INTERPRETED
from shm_exchange.domain.enums import CommandKind, EventKind, OrderType, RejectReason, SelfTradePrevention, Side, TimeInForce
from shm_exchange.domain.names import name_words
from shm_exchange.engine.engine import Engine
from shm_exchange.layout.records import EVENT, LOG_RECORD, REPORT
from tests.engine.implementations import FastExchange, books
from tests.oracle.flow import INSTRUMENTS, MARKET, PROFILES, Profile, as_records, flow
from tests.oracle.messages import Command, Event, Report
from tests.oracle.naive_exchange import MATCHER, NaiveExchange

SEEDS, COMMANDS = (4, 300) if INTERPRETED else (8, 2000)
LONG_SEEDS, LONG_COMMANDS, SEEDS_A_TEST = (20, 1000, 1) if INTERPRETED else (200, 10_000, 5)


def profile_of(seed: int) -> Profile:
    return list(PROFILES.values())[seed % len(PROFILES)]


def compare(seed: int, count: int, every: int) -> None:
    """Fail with the seed and the first command on which the two differ."""
    profile = profile_of(seed)
    log = flow(seed, count, profile)
    oracle, engine = NaiveExchange(profile.config), FastExchange(profile.config)
    for first in range(0, count, every):
        batch = log[first : first + every].tolist()
        expected, actual = oracle.apply(batch), engine.apply(batch)
        if expected != actual or books(oracle, len(INSTRUMENTS)) != books(engine, len(INSTRUMENTS)):
            pytest.fail(f"seed {seed}: {first_difference(log[: first + every], first, profile)}")


def first_difference(log: np.ndarray, agreed: int, profile: Profile) -> str:
    """Both once more from the start, one command at a time behind those on which they agreed."""
    oracle, engine = NaiveExchange(profile.config), FastExchange(profile.config)
    oracle.apply(log[:agreed].tolist())
    engine.apply(log[:agreed].tolist())
    for number, record in enumerate(log[agreed:].tolist(), agreed):
        expected, actual = oracle.apply([record]), engine.apply([record])
        if expected != actual:
            return f"command {number} {Command._make(record)}\noracle {expected}\nengine {actual}"
        for instrument in range(len(INSTRUMENTS)):
            for side in Side:
                if (levels := oracle.levels(instrument, side)) != (other := engine.levels(instrument, side)):
                    return f"command {number} {Command._make(record)}\n{side.name} of {instrument}\noracle {levels}\nengine {other}"
    return f"only queues differ\noracle {books(oracle, len(INSTRUMENTS))}\nengine {books(engine, len(INSTRUMENTS))}"


@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_report_event_and_queue(seed: int) -> None:
    compare(seed, COMMANDS, every=COMMANDS // 4)


@pytest.mark.long
@pytest.mark.parametrize("first", range(1000, 1000 + LONG_SEEDS, SEEDS_A_TEST))
def test_every_report_event_and_queue_at_length(first: int) -> None:
    for seed in range(first, first + SEEDS_A_TEST):
        compare(seed, LONG_COMMANDS, every=LONG_COMMANDS // 10)


@pytest.mark.parametrize("seed", range(len(PROFILES)))
def test_how_a_log_is_cut_into_batches_changes_nothing(seed: int) -> None:
    profile, cuts = profile_of(seed), random.Random(seed)
    log = flow(seed, COMMANDS // 2, profile)
    whole, cut = Engine(profile.config), Engine(profile.config)
    expected = whole.apply(log)
    reports: dict[int, list[np.ndarray]] = {session: [] for session in expected.reports}
    events, first = [], 0
    while first < len(log):
        behind = first + cuts.choice((0, 1, 2, 7, cuts.randint(1, 200)))
        outputs = cut.apply(log[first:behind])
        events.append(outputs.events)
        for session, part in outputs.reports.items():
            reports[session].append(part)
        first = behind
    assert np.array_equal(np.concatenate(events), expected.events)
    assert all(np.array_equal(np.concatenate(reports[session]), expected.reports[session]) for session in expected.reports)
    assert whole.state_hash() == cut.state_hash()


def test_the_same_log_leads_to_the_same_state() -> None:
    """Whatever secret multiplier spreads the keys of the indexes."""
    log = flow(0, COMMANDS // 2)
    hashes = set()
    for multiplier in (0x2545_F491_4F6C_DD1D, 0x9E37_79B9_7F4A_7C15):
        engine = Engine(profile_of(0).config, multiplier)
        engine.apply(log)
        hashes.add(engine.state_hash())
    assert len(hashes) == 1


def test_states_that_differ_in_one_word_have_different_hashes() -> None:
    logons = [Command(session << 40 | 1, *name_words("s"), *name_words(f"account-{session}"), kind=CommandKind.LOGON) for session in (1, 2)]
    words = {"kind": CommandKind.ENTER, "order_type": OrderType.LIMIT, "time_in_force": TimeInForce.GTC, "self_trade": SelfTradePrevention.NONE}
    bid = Command(1 << 40 | 2, client_order_id=1, price_ticks=100, quantity=10, side=Side.BUY, **words)
    bids = [bid, bid._replace(command_id=2 << 40 | 2, client_order_id=7)]
    log = [*logons, *bids, bid._replace(command_id=1 << 40 | 3, side=Side.SELL, client_order_id=2, quantity=3)]
    logs = [
        log,
        [*logons, *reversed(bids), log[4]],
        [*log[:4], log[4]._replace(client_order_id=9, kind=CommandKind.REDUCE, order_id=bid.command_id)],
        [*log[:4], log[4]._replace(time_ns=1)],
        [logons[0], logons[1]._replace(quantity=logons[0].quantity), *log[2:]],
        [*log[:4], Command(1 << 40 | 3, kind=CommandKind.LOGOFF)],
    ]
    spoilt = ({"price_ticks": 99}, {"quantity": 11}, {"client_order_id": 3}, {"instrument": 1}, {"command_id": 1 << 40 | 4})
    logs += [[*log[:2], bid._replace(**words), *log[3:]] for words in spoilt]
    hashes = []
    for commands in logs:
        engine = Engine(MARKET.config)
        engine.apply(as_records(commands))
        hashes.append(engine.state_hash())
    assert len(set(hashes)) == len(logs)


def test_flow_is_a_function_of_its_seed() -> None:
    first, again, other = flow(1, 500), flow(1, 500), flow(2, 500)
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_positions_ascend_in_each_session() -> None:
    ids = flow(4, 1000)["command_id"]
    for session in set((ids >> 40).tolist()) - {MATCHER}:
        assert (ids[ids >> 40 == session] & (1 << 40) - 1).tolist() == list(range(1, np.count_nonzero(ids >> 40 == session) + 1))


def test_flow_brings_every_kind_of_command_and_every_answer() -> None:
    """Or the comparison would prove little."""
    kinds: set[int] = set()
    answers: set[int] = set()
    reasons: set[int] = set()
    for seed, profile in enumerate(PROFILES.values()):
        log = flow(seed, 4000, profile)
        kinds |= set(log["kind"].tolist())
        oracle = NaiveExchange(profile.config)
        for reports in oracle.apply(log.tolist()).reports.values():
            answers |= {report.kind for report in reports}
            reasons |= {report.reason for report in reports if report.kind == EventKind.REJECTED}
    assert kinds >= set(CommandKind)
    assert answers == set(EventKind)
    assert reasons == set(RejectReason)


def test_the_oracle_speaks_in_the_fields_of_the_records() -> None:
    assert Command._fields == LOG_RECORD.names
    assert Report._fields == REPORT.names
    assert Event._fields == EVENT.names
