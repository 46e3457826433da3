"""From lanes to the log: who comes when, how much at once, and who is not looked at."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest

from shm_exchange.domain.enums import EventKind
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.matcher.sweep import COOL_SWEEPS, _cool
from tests.matcher.rig import RawGateway, Rig, orders, rigged

POLLS_A_STEP = 64


def test_a_sweep_takes_at_most_the_budget_from_each_lane() -> None:
    with rigged(sweep_budget=4) as rig:
        one, other = rig.gateways(2)
        before = len(rig.log)
        assert one.submit(orders(10)) == 10
        assert other.submit(orders(6)) == 6
        rig.step()
        assert (one.waiting, other.waiting) == (6, 2)
        rig.step()
        rig.step()
        assert (one.waiting, other.waiting) == (0, 0)
        turns = [(session, len(list(run))) for session, run in groupby(rig.session_of(before))]
        assert sorted(turns[:2]) == [(1, 4), (2, 4)]
        assert sorted(turns[2:]) in ([(1, 4), (1, 2), (2, 2)], [(1, 2), (1, 4), (2, 2)], [(1, 6), (2, 2)])


def test_the_log_is_the_lanes_word_by_word() -> None:
    """Position and session become the id; the clock is the matcher's; everything else stands as it was submitted."""
    with rigged() as rig:
        [gateway] = rig.gateways(1)
        commands = orders(5)
        commands["client_order_id"], commands["price_ticks"] = np.arange(5, dtype=np.uint64) + 2**63, np.arange(5) - 2
        commands["number"], commands["time_ns"] = 77, 77
        gateway.submit(commands)
        rig.step()
        log = rig.log[1:]
        assert log["command_id"].tolist() == [1 << POSITION_BITS | position for position in range(2, 7)]
        assert len(set(log["time_ns"].tolist())) == 1
        assert log["time_ns"][0] > 1_600_000_000_000_000_000
        for name in set(commands.dtype.names or ()) - {"number", "time_ns"}:
            assert log[name].tolist() == commands[name].tolist()


@pytest.mark.parametrize("sessions", [3, 4, 8])
def test_lanes_at_full_flood_come_round_in_turn(sessions: int) -> None:
    with rigged(sweep_budget=8, log_capacity=4096) as rig:
        gateways = rig.gateways(sessions)
        swept = _flood(rig, gateways, rounds=3 * sessions)
        assert len(set(swept)) == 1


@pytest.mark.parametrize("sessions", [2, 3, 5])
def test_no_lane_starves_when_a_sweep_has_no_room_for_all(sessions: int) -> None:
    """The log has room for all lanes but one in one sweep."""
    budget = 32 // max(1, sessions - 1) if sessions < 4 else 8
    with rigged(sweep_budget=budget, log_capacity=64, event_capacity=64) as rig:
        gateways = rig.gateways(sessions)
        swept = _flood(rig, gateways, rounds=4 * sessions)
        assert min(swept) >= max(swept) // 2


@pytest.mark.parametrize("budget", [1, 8, 24, 32])
def test_a_log_that_no_longer_holds_everything_says_so_before(budget: int) -> None:
    """Without a journal it is all that a matcher could be rebuilt from: it says so before its first record goes, and no sooner than it must."""
    with rigged(sweep_budget=budget, log_capacity=64, event_capacity=64) as rig:
        [gateway] = rig.gateways(1)
        words = rig.segment.array("matcher")[0]
        first = rig.segment.array("log")[0].copy()
        while words.log_tail <= 64:
            whole = not words.overwritten
            assert whole or words.log_tail > 64 - budget
            gateway.submit(orders(budget, price_ticks=0))
            gateway.reports()
            rig.step()
            assert words.log_tail <= 64 or words.overwritten
            assert words.overwritten or rig.segment.array("log")[0] == first
        assert words.overwritten == 1


def _flood(rig: Rig, gateways: list[RawGateway], rounds: int) -> list[int]:
    """Keep every lane filled with commands that are refused; returns how many each session got through."""
    refused = orders(64, price_ticks=0)
    swept = [0] * len(gateways)
    for _ in range(rounds):
        for gateway in gateways:
            gateway.submit(refused)
            gateway.reports()
        rig.step()
    for index, gateway in enumerate(gateways):
        swept[index] = int(rig.segment.array("lane_heads")[gateway.session].head) - 2
    return swept


def test_a_lane_that_stays_empty_cools_and_is_heated_by_the_next_command() -> None:
    with rigged() as rig:
        one, other = rig.gateways(2)
        assert rig.segment.array("activity")[0].bits == 0b110
        _let_cool(rig)
        assert rig.segment.array("activity")[0].bits == 0
        other.submit(orders(3))
        assert rig.segment.array("activity")[0].bits == 0b100
        rig.step()
        assert (one.waiting, other.waiting) == (0, 0)
        assert [int(report["kind"]) for report in other.reports()] == [EventKind.ACCEPTED] * 3


def _let_cool(rig: Rig) -> None:
    for _ in range(4 * COOL_SWEEPS // POLLS_A_STEP):
        rig.step()
        if not rig.bundles.memory.private[0].hot_count:
            return
    pytest.fail("the lanes did not cool")


def test_a_command_that_comes_while_its_lane_cools_is_not_forgotten() -> None:
    """Its gateway saw the bit still set and did not set it again."""
    with rigged() as rig:
        [gateway] = rig.gateways(1)
        gateway.submit(orders(1))
        bundles = rig.bundles
        _cool(bundles.memory, bundles.policy, 0)
        assert bundles.memory.private[0].hot_count == 1
        assert bundles.memory.activity[0].bits == 0b10
        rig.step()
        assert gateway.waiting == 0


def test_garbage_in_the_hints_is_only_a_reason_to_look() -> None:
    with rigged(max_sessions=70) as rig:
        gateways = rig.gateways(70)
        for garbage in (2**64 - 1, 1, 1 << 63, 0):
            rig.bundles.memory.activity["bits"] = garbage
            gateways[-1].submit(orders(1))
            rig.step()
            assert gateways[-1].waiting == 0
        assert rig.bundles.memory.private[0].hot_count == 70
        assert sorted(rig.bundles.memory.hot[:70].tolist()) == list(range(1, 71))


def test_who_does_not_read_is_not_swept_and_harms_nobody() -> None:
    with rigged(report_capacity=64) as rig:
        idle, busy = rig.gateways(2)
        idle.submit(orders(60, price_ticks=0))
        for _ in range(20):
            busy.submit(orders(5, price_ticks=0))
            rig.step()
            assert len(busy.reports()) == 5
        assert idle.waiting == 0
        idle.submit(orders(10, price_ticks=0))
        rig.step()
        assert idle.waiting == 10
        assert len(idle.reports()) == 60
        rig.step()
        assert (idle.waiting, len(idle.reports())) == (0, 10)


@pytest.mark.parametrize("head", [-(2**63), -1, 0, 2**62, 2**63 - 1])
def test_a_report_head_that_lies_harms_only_its_session(head: int) -> None:
    with rigged(report_capacity=64) as rig:
        liar, honest = rig.gateways(2)
        for _ in range(10):
            liar.submit(orders(16, price_ticks=0))
            liar.own["report_head"][0].head = head
            honest.submit(orders(16, price_ticks=0))
            rig.step()
            assert honest.reports()["kind"].tolist() == [EventKind.REJECTED] * 16
        assert rig.segment.array("report_tails")[honest.session].skipped == 0


def test_a_session_that_only_reads_loses_nothing() -> None:
    with rigged(report_capacity=64) as rig:
        maker, taker = rig.gateways(2)
        sell = orders(1)
        sell["side"], sell["quantity"] = 2, 1000
        maker.submit(sell)
        rig.step()
        maker.reports()
        _let_cool(rig)
        for _ in range(100):
            taker.submit(orders(1))
            rig.step()
            taker.reports()
            assert maker.reports()["kind"].tolist() == [EventKind.EXECUTED]
