"""Every behaviour shows its character in simulated time, and the same seed is the same market."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shm_exchange.domain.enums import EventKind, Side
from shm_exchange.domain.errors import ConfigError
from shm_exchange.participants.behaviour import made
from shm_exchange.participants.behaviours import BEHAVIOURS, behaviour_of
from shm_exchange.participants.executors import Twap, Vwap
from shm_exchange.participants.quoting import MarketMaker
from shm_exchange.participants.scheduler import MATCH_NS
from shm_exchange.participants.trends import MeanReversion, Momentum
from tests.participants.simulated import Diary, market_of, run

HERE = "tests.participants.simulated"
ZERO = "[[participant]]\nbehaviour='zero'\ncount=3\nrate=100\narrivals='hawkes'\n"
RAMP = f"[[participant]]\nbehaviour='{HERE}:Ramp'\nslope={{}}\n"


def test_a_market_maker_leans_against_what_it_holds() -> None:
    """Reservation price and spread are those of the paper, written out by hand for one case."""
    maker = MarketMaker(gamma=0.1, sigma=2.0, kappa=1.5, horizon=5.0, quantity=10)
    flat, long, short = (maker.prices(10_000, position) for position in (0, 50, -50))
    assert flat == (9_998, 10_002)  # half spread (0.1 * 4 * 5 + 20 ln(1 + 0.1 / 1.5)) / 2 = 1.65
    assert long == (9_988, 9_992)  # five orders held: 10 ticks lower
    assert short == (10_008, 10_012)


def test_a_market_maker_quotes_both_sides_trades_and_stays_within_its_limit() -> None:
    outcome, scheduler = run(ZERO + "[[participant]]\nbehaviour='market_maker'\nlimit=30\ndelay='100us'\n", 4)
    maker = outcome.participants[3]
    assert maker.fills > 20
    assert abs(maker.positions[0]) <= 30 + 10  # a quote that was on its way when the limit was reached
    assert {order.side for order in scheduler.participants[3].market.orders.values()} <= set(Side)


@pytest.mark.parametrize(("slope", "momentum", "reversion"), [(10, 10, -10), (-10, -10, 10)])
def test_momentum_goes_along_and_mean_reversion_against(slope: int, momentum: int, reversion: int) -> None:
    outcome, _ = run(RAMP.format(float(slope)) + "[[participant]]\nbehaviour='momentum'\n[[participant]]\nbehaviour='mean_reversion'\n", 4)
    assert [member.positions[0] for member in outcome.participants[1:]] == [momentum, reversion]


def test_neither_trades_where_nothing_moves() -> None:
    outcome, _ = run(RAMP.format(0.0) + "[[participant]]\nbehaviour='momentum'\n[[participant]]\nbehaviour='mean_reversion'\n", 2)
    assert [member.commands for member in outcome.participants[1:]] == [0, 0]
    assert Momentum().target(2.5) == -MeanReversion().target(2.5) == 10


def fills_of(text: str, session: int, seconds: float) -> list[tuple[int, int]]:
    """(when, lots) of every fill of a session."""
    scheduler, _ = market_of(text, seconds)
    heard = scheduler.participants[session - 1].heard
    fills: list[tuple[int, int]] = []

    def listen(now_ns: int, reports: np.ndarray) -> None:
        fills.extend((now_ns, int(report["quantity"])) for report in reports if report["kind"] == EventKind.EXECUTED)
        heard(now_ns, reports)

    scheduler.participants[session - 1].heard = listen  # type: ignore[method-assign]
    scheduler.run(seconds)
    return fills


def test_twap_slices_evenly_and_ends_complete() -> None:
    fills = fills_of(RAMP.format(0.0) + "[[participant]]\nbehaviour='twap'\nside='sell'\nquantity=100\nslices=5\nover=4.0\n", 2, 5)
    assert [lots for _, lots in fills] == [20] * 5
    assert [round(after - before, -7) for (before, _), (after, _) in pairwise(fills)] == [10**9] * 4


def test_twap_makes_up_for_what_a_thin_market_did_not_give() -> None:
    outcome, _ = run(RAMP.format(0.0) + "lots=3\n[[participant]]\nbehaviour='twap'\nquantity=100\nslices=5\nover=1.0\n", 4)
    assert outcome.participants[1].positions == [100]


def test_vwap_takes_its_share_of_what_is_traded() -> None:
    text = RAMP.format(0.0) + f"[[participant]]\nbehaviour='{HERE}:Trades'\n[[participant]]\nbehaviour='vwap'\nparticipation=0.2\nquantity=100000\n"
    outcome, _ = run(text, 6)
    assert outcome.participants[2].positions[0] / outcome.volume == pytest.approx(0.2, abs=0.02)
    still, _ = run(RAMP.format(0.0) + "[[participant]]\nbehaviour='vwap'\n", 2)
    assert still.volume == 0


def test_vwap_follows_a_profile() -> None:
    fills = fills_of(RAMP.format(0.0) + "[[participant]]\nbehaviour='vwap'\nprofile='3,1,0,4'\nover=4.0\nquantity=80\nclip=1\n", 2, 5)
    parts = [sum(lots for when, lots in fills if part <= when / 1e9 < part + 1) for part in range(5)]
    assert np.abs(np.subtract(parts, [30, 10, 0, 40, 0])).max() <= 2
    assert sum(parts) == 80


def test_the_arbitrageur_hits_what_is_stale_and_earns() -> None:
    """SLOW is quoted by the same ramp, half a second late."""
    text = "[[instrument]]\nsymbol='FAST'\n[[instrument]]\nsymbol='SLOW'\n"
    text += f"[[participant]]\nbehaviour='{HERE}:Ramp'\nsymbol='FAST'\n[[participant]]\nbehaviour='{HERE}:Ramp'\nsymbol='SLOW'\ndelay='600ms'\n"
    outcome, _ = run(text + "[[participant]]\nbehaviour='latency_arbitrageur'\nsymbol='SLOW'\nwatch='FAST'\nlimit=30\n", 5)
    assert outcome.participants[2].positions == [0, 30]
    assert outcome.participants[2].pnl[1] > 0


def test_zero_intelligence_needs_nobody() -> None:
    outcome, _ = run(ZERO, 4)
    assert outcome.trades > 50
    assert all(member.commands > 200 for member in outcome.participants)


def test_a_function_is_a_behaviour() -> None:
    outcome, _ = run(RAMP.format(0.0) + f"[[participant]]\nbehaviour='{HERE}:lift'\nlots=7\nrate=10\n", 2)
    assert outcome.participants[1].positions[0] == 7 * outcome.participants[1].commands > 0


def test_a_file_is_replayed_by_its_clock(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("flow") / "flow.csv"
    path.write_text(
        "time_ns,action,client_order_id,side,price,quantity\n0,enter,1,buy,99.50,100\n1000000000,enter,2,sell,99.50,40\n2000000000,cancel,1,,,\n"
    )
    text = f"[[participant]]\nbehaviour='replay'\nfile='{path}'\nspeed=2.0\n"
    fills = fills_of(text, 1, 2)
    assert [lots for _, lots in fills] == [40, 40]
    assert fills[0][0] == pytest.approx(0.5e9, abs=1e6)


@pytest.mark.parametrize(("delay", "there_and_back"), [("0ms", MATCH_NS), ("3ms", 6_000_000 + MATCH_NS)])
def test_orders_reports_and_prices_take_their_time(delay: str, there_and_back: int) -> None:
    _, scheduler = run(f"[[participant]]\nbehaviour='{HERE}:Diary'\ndelay='{delay}'\nlook='1ns'\n", 1)
    diary = scheduler.participants[0].behaviour
    assert isinstance(diary, Diary)
    assert diary.notes[0] == ("ACCEPTED", there_and_back)
    assert diary.notes[1][0] == "market"
    assert diary.notes[1][1] == pytest.approx(there_and_back, abs=2)
    assert ("stop", 10**9) in diary.notes


def test_the_same_seed_is_the_same_market_and_another_is_not() -> None:
    text = "seed={}\n" + ZERO + "".join(f"[[participant]]\nbehaviour='{name}'\n" for name in ("market_maker", "momentum", "vwap"))
    text = text.replace("behaviour='market_maker'\n", "behaviour='market_maker'\ndelay='50us'\njitter='lognormal 80us 0.7'\n")
    first, again, other = (run(text.format(seed), 2)[0] for seed in (5, 5, 6))
    assert first == again
    assert first.event_log_hash != other.event_log_hash
    moved, _ = run(text.format(5).replace("delay='50us'", "delay='51us'"), 2)
    assert moved.event_log_hash != first.event_log_hash


@settings(max_examples=8)
@given(seed=st.integers(0, 2**31), makers=st.integers(0, 3), takers=st.integers(0, 3), delay=st.integers(0, 5000))
def test_cash_and_positions_add_up_to_zero_whoever_trades(seed: int, makers: int, takers: int, delay: int) -> None:
    """`run` asserts it, with every invariant of the book."""
    text = f"seed={seed}\n{ZERO}"
    for name, count in (("market_maker", makers), ("momentum", takers), ("mean_reversion", takers)):
        text += f"[[participant]]\nbehaviour='{name}'\ncount={count}\ndelay='{delay}us'\naccount='shared'\n" if count else ""
    outcome, _ = run(text, 0.5)
    assert sum(sum(member.cash) for member in outcome.participants) == 0


@pytest.mark.parametrize("name", [name for name in BEHAVIOURS if name != "replay"])
def test_all_of_them_can_be_made_without_a_word(name: str) -> None:
    behaviour_of(name, {})


@pytest.mark.parametrize(
    ("kind", "given_", "said"),
    [
        (Twap, {"quantty": 1}, "Twap has no parameter 'quantty'; did you mean 'quantity'?"),
        (Twap, {"quantity": 1.5}, "quantity of Twap must be a whole number, not 1.5; its default is 100 lots"),
        (Twap, {"quantity": 0}, "quantity of Twap must be at least 1 lots, not 0"),
        (Twap, {"side": "by"}, "side must be buy or sell, not 'by'; did you mean 'buy'?"),
        (MarketMaker, {"gamma": 0}, "gamma of MarketMaker must be above 0 per order held, not 0"),
        (Vwap, {"participation": 0.7}, "participation of Vwap must be above 0 and at most 0.5, not 0.7"),
        (Vwap, {"profile": "1;2"}, "profile '1;2' is no list of numbers"),
    ],
)
def test_parameters_are_checked(kind: type, given_: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made(kind, given_)
    assert str(caught.value).startswith(said)
