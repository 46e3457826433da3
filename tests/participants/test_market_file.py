"""Market files: the one we ship, and everything that can be wrong with one, said with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from shm_exchange.domain.errors import ExchangeError
from shm_exchange.participants.description import config_for
from shm_exchange.participants.market_file import EXAMPLE, parsed, read_description

ONE = "[[participant]]\nbehaviour = 'twap'\n"
FLOW = "[[participant]]\nbehaviour = 'zero'\nrate = 5\n"


def test_the_example_is_short_and_makes_a_market() -> None:
    assert 20 <= len(EXAMPLE.splitlines()) <= 30
    description = parsed(EXAMPLE)
    assert (description.exchange, description.participants) == ("demo", 8)
    config = config_for(description)
    assert [instrument.symbol for instrument in config.instruments] == ["ACME"]
    seats = [seat for seat, _ in description.seats(("ACME",), 1.0, 0)]
    assert len({seat.session for seat in seats}) == 8
    assert len({(seat.setting.seed, seat.setting.number) for seat in seats}) == 8


def test_groups_of_one_behaviour_count_on_and_names_stay_short() -> None:
    text = f"{FLOW}count=2\ncores=[0, 1]\n{FLOW}[[participant]]\nbehaviour='latency_arbitrageur'\nwatch='ACME'\ncount=11\naccount='desk'\n"
    seated = parsed(text).seats(("ACME",), 0, 0)
    assert [seat.session for seat, _ in seated[:4]] == ["zero-1", "zero-2", "zero-3", "latency_arbitr-1"]
    assert all(len(seat.session) <= 16 for seat, _ in seated)
    assert [core for _, core in seated[:3]] == [0, 1, None]
    assert {seat.account for seat, _ in seated[3:]} == {"desk"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("exchnge = 'x'\n" + ONE, "m.toml:1: there is no key 'exchnge'; did you mean 'exchange'?"),
        ("seconds = 1\n\n" + ONE + "quantty = 3\n", "m.toml:5: there is no key 'quantty'; did you mean 'quantity'?; twap has side, quantity"),
        (FLOW + ONE + "quantity = '3'\n", "m.toml:6: quantity of Twap must be a whole number, not '3'"),
        (ONE + "count = '3'\n", "m.toml:3: count must be a whole number, not '3'"),
        (ONE + "count = 0\n", "m.toml:3: count must be from 1 to 1000, not 0"),
        ("[[participant]]\nbehaviour = 'zreo'\n", "m.toml:2: there is no behaviour 'zreo'; did you mean 'zero'?"),
        ("[[participant]]\nbehaviour = 'zero'\n", "m.toml:2: behaviour 'zero' is a flow and needs rate"),
        ("[[participant]]\ncount = 1\n", "m.toml:1: a [[participant]] has no behaviour"),
        ("seconds = 3\n", "m.toml has no participant"),
        ("[participant]\nbehaviour = 'twap'\n", "m.toml:1: participant must be a list"),
        ("seconds = -1\n" + ONE, "m.toml:1: seconds must be above 0, not -1"),
        (FLOW + "gamma = 1\n", "m.toml:4: there is no key 'gamma'"),
        (FLOW + "arrivals = 'hawks'\n", "m.toml:4: arrivals 'hawks' are not known; did you mean 'hawkes'?"),
        (FLOW + "arrivals = 'hawkes'\nalpha = 9.0\nbeta = 3.0\n", "m.toml:5: alpha 9 must be below beta 3"),
        (ONE + "burst = 3\n", "m.toml:3: burst says how a rate is spread, and there is none"),
        (ONE + "delay = '3'\n", "m.toml:3: '3' is no duration"),
        (ONE + "symbol = 3\n", "m.toml:3: symbol must be a text or a list of texts, not 3"),
        (ONE + "cores = [true]\n", "m.toml:3: cores must be a list of whole numbers"),
        ("[[participant]]\nbehaviour = 'latency_arbitrageur'\n", "m.toml:2: watch is missing"),
        ("[[participant]]\nbehaviour = 'no.such:thing'\n", "m.toml:2: behaviour no.such:thing cannot be imported"),
        (
            "[[participant]]\nbehaviour = 'tests.participants.simulated:lift'\nlot = 1\n",
            "m.toml:3: tests.participants.simulated:lift has no parameter 'lot'",
        ),
        ("[[instrument]]\nsymbl = 'X'\n" + ONE, "m.toml:2: there is no key of [[instrument]] 'symbl'; did you mean 'symbol'?"),
        ("[[participant]\n", "m.toml is not TOML"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, said: str) -> None:
    with pytest.raises(ExchangeError) as caught:
        parsed(text, "m.toml")
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_a_symbol_that_is_not_there_and_a_file_that_is_not() -> None:
    with pytest.raises(ExchangeError, match=r"market.toml:1: there is no symbol 'ACM'; did you mean 'ACME'\?"):
        parsed(ONE + "symbol = 'ACM'\n").seats(("ACME",), 0, 0)
    with pytest.raises(ExchangeError, match=r"cannot read .*nowhere.toml: No such file"):
        read_description(Path("nowhere.toml"))
