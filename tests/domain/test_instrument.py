"""Between decimals and whole ticks or lots nothing is rounded: what converts converts back, and what does not fit is refused."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shm_exchange.domain.errors import ConfigError, PriceError, QuantityError
from shm_exchange.domain.instrument import Instrument, Number
from shm_exchange.domain.limits import PRICE_TICKS_MAX, QUANTITY_MAX

STEPS = st.sampled_from(["0.01", "1", "0.005", "0.25", "0.00000001", "1e-18", "50", "12.5", "0.03125", "1000000"])
TICKS = st.integers(-PRICE_TICKS_MAX, PRICE_TICKS_MAX)
LOTS = st.integers(1, QUANTITY_MAX)


@given(STEPS, TICKS)
def test_ticks_of_the_price_of_ticks(tick_size: str, ticks: int) -> None:
    instrument = Instrument("ACME", tick_size=tick_size)
    price = instrument.price(ticks)
    assert price == ticks * instrument.tick
    assert instrument.ticks(price) == instrument.ticks(str(price)) == instrument.ticks(f"{price:f}") == ticks


@given(STEPS, LOTS)
def test_lots_of_the_quantity_of_lots(lot_size: str, lots: int) -> None:
    instrument = Instrument("ACME", lot_size=lot_size)
    quantity = instrument.quantity(lots)
    assert quantity == lots * instrument.lot
    assert instrument.lots(quantity) == instrument.lots(str(quantity)) == lots


@given(STEPS, st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**9), max_value=10**9))
def test_a_price_converts_only_when_it_is_a_multiple_of_the_tick(tick_size: str, price: Decimal) -> None:
    instrument = Instrument("ACME", tick_size=tick_size)
    numerator, denominator = price.as_integer_ratio()
    tick_numerator, tick_denominator = instrument.tick.as_integer_ratio()
    ticks, rest = divmod(numerator * tick_denominator, denominator * tick_numerator)
    if rest:
        with pytest.raises(PriceError, match="not a multiple of the tick"):
            instrument.ticks(price)
    else:
        assert instrument.ticks(price) == ticks


@given(STEPS, TICKS, st.integers(1, 80))
def test_no_excess_digit_is_rounded_away(tick_size: str, ticks: int, beyond: int) -> None:
    """However far behind the point it stands."""
    instrument = Instrument("ACME", tick_size=tick_size, lot_size=tick_size)
    excess = f"{instrument.price(ticks):.20f}{'0' * beyond}1"
    with pytest.raises(PriceError, match="not a multiple of the tick"):
        instrument.ticks(excess)
    with pytest.raises(QuantityError, match="not a multiple of the lot"):
        instrument.lots(excess)


def test_a_price_shows_the_decimals_of_its_tick() -> None:
    assert str(Instrument("ACME", tick_size="0.01").price(9950)) == "99.50"
    assert str(Instrument("ACME", lot_size="0.001").quantity(2500)) == "2.500"


REFUSED = [
    (99.5, "is a float, which cannot say decimals exactly; write it as a string, e.g. '99.5'"),
    (np.float64(99.5), "is a float"),
    (float("nan"), "is a float"),
    ("1e-2000000", "1e-2000000"),
    ("nan", "is not finite"),
    ("sNaN", "is not finite"),
    ("-inf", "is not finite"),
    (Decimal("Infinity"), "is not finite"),
    ("1e400", "1e400"),
    ("-1e999999", "1e999999"),
    ("9" * 70, "999"),
    ("0.123456789" * 9, "0.123456789"),
    ("1.005", "is not a multiple of the"),
    ("", "is not a decimal number"),
    ("ten", "is not a decimal number"),
    ("1,5", "is not a decimal number"),
    ("0x10", "is not a decimal number"),
    (None, "is not a decimal number"),
    ([], "is not a decimal number"),
    (1j, "is not a decimal number"),
    (np.float32(0.5), "decimal"),
]


@pytest.mark.parametrize(("value", "text"), REFUSED, ids=[repr(value)[:20] for value, _ in REFUSED])
def test_what_is_no_exact_decimal_is_refused_in_words(value: Number, text: str) -> None:
    instrument = Instrument("ACME", tick_size="0.01", lot_size="0.01")
    with pytest.raises(PriceError) as price:
        instrument.ticks(value)
    with pytest.raises(QuantityError) as quantity:
        instrument.lots(value)
    assert text in str(price.value)
    assert text in str(quantity.value)


@pytest.mark.parametrize("step", ["0", "-0.01", "nan", "inf", "x", 0.01, None, "1" * 25, "1." + "0" * 30 + "1"])
@pytest.mark.parametrize("name", ["tick_size", "lot_size"])
def test_a_step_is_a_positive_decimal(name: str, step: Number) -> None:
    with pytest.raises(ConfigError, match=name):
        Instrument("ACME", **{name: step})


def test_bounds_of_the_price() -> None:
    plain = Instrument("ACME")
    assert (plain.min_ticks, plain.max_ticks) == (1, PRICE_TICKS_MAX)
    spread = Instrument("OIL", tick_size="0.01", min_price="-50", max_price="50.25")
    assert (spread.min_ticks, spread.max_ticks) == (-5000, 5025)
    for bounds in ({"min_price": "2", "max_price": "1"}, {"max_price": "0"}, {"max_price": "0.001"}, {"min_price": 0.5}):
        with pytest.raises(ConfigError):
            Instrument("ACME", **bounds)


@given(st.sampled_from(["min_price", "max_price"]), st.integers(PRICE_TICKS_MAX + 1, 2**70), st.sampled_from([1, -1]))
def test_a_bound_beyond_the_limit_is_refused(name: str, ticks: int, sign: int) -> None:
    assume(name == "max_price" or sign < 0)
    with pytest.raises(ConfigError, match=f"beyond {PRICE_TICKS_MAX} ticks"):
        Instrument("ACME", tick_size="1", **{name: sign * ticks})
