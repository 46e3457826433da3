"""An instrument, and the exact conversion between decimals and whole ticks or lots at the edge. Nothing is ever rounded."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Context, Decimal, DecimalException, DivisionByZero, Inexact, InvalidOperation, Overflow, Underflow

from shm_exchange.domain.errors import ConfigError, ExchangeError, PriceError, QuantityError
from shm_exchange.domain.limits import PRICE_TICKS_MAX
from shm_exchange.domain.names import checked_name

Number = str | int | Decimal

_EXACT = Context(prec=60, traps=[InvalidOperation, DivisionByZero, Overflow, Underflow, Inexact])


def _decimal(value: Number, what: str, error: type[ExchangeError]) -> Decimal:
    if isinstance(value, float):
        raise error(f"{what} {value!r} is a float, which cannot say decimals exactly; write it as a string, e.g. {str(value)!r}")
    try:
        number = Decimal(value)
    except (DecimalException, TypeError, ValueError):
        raise error(f"{what} {value!r} is not a decimal number") from None
    if not number.is_finite():
        raise error(f"{what} {value!r} is not finite")
    return number


@dataclass(frozen=True)
class Instrument:
    """One tradable thing.

    `tick_size` and `lot_size` are positive decimals (as strings); prices are whole ticks, quantities whole lots. `min_price` and `max_price`
    bound what may be quoted; a negative `min_price` allows negative prices. Raises ConfigError.
    """

    symbol: str
    tick_size: Number = field(default="0.01", compare=False)  # two instruments are equal when they mean the same, however it was written
    lot_size: Number = field(default="1", compare=False)
    min_price: Number | None = field(default=None, compare=False)
    max_price: Number | None = field(default=None, compare=False)
    tick: Decimal = field(init=False, repr=False)
    lot: Decimal = field(init=False, repr=False)
    min_ticks: int = field(init=False, repr=False)
    max_ticks: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        checked_name(self.symbol, "symbol")
        for name, size in (("tick", self.tick_size), ("lot", self.lot_size)):
            step = _decimal(size, f"{name}_size", ConfigError)
            if step <= 0 or len(str(step)) > 24:
                raise ConfigError(f"{name}_size of {self.symbol} must be a positive decimal of at most 24 characters, not {size!r}")
            object.__setattr__(self, name, step)
        object.__setattr__(self, "min_ticks", 1 if self.min_price is None else self._bound(self.min_price))
        object.__setattr__(self, "max_ticks", PRICE_TICKS_MAX if self.max_price is None else self._bound(self.max_price))
        if self.min_ticks > self.max_ticks:
            raise ConfigError(f"min_price of {self.symbol} is above its max_price")

    def _bound(self, price: Number) -> int:
        try:
            ticks = self.ticks(price)
        except PriceError as error:
            raise ConfigError(str(error)) from None
        if abs(ticks) > PRICE_TICKS_MAX:
            raise ConfigError(f"{price} is beyond {PRICE_TICKS_MAX} ticks of {self.symbol}")
        return ticks

    def ticks(self, price: Number) -> int:
        """Whole ticks of a decimal price. Raises PriceError where the price does not fit the tick."""
        try:
            ticks, rest = _EXACT.divmod(Decimal(price), self.tick)
        except (DecimalException, TypeError, ValueError):
            rest = Decimal(1)
        if rest or isinstance(price, float):
            _decimal(price, "price", PriceError)
            raise PriceError(f"price {price} is not a multiple of the tick {self.tick} of {self.symbol}; {_neighbours(price, self.tick)}")
        return int(ticks)

    def lots(self, quantity: Number) -> int:
        """Whole lots of a decimal quantity. Raises QuantityError where it does not fit the lot."""
        try:
            lots, rest = _EXACT.divmod(Decimal(quantity), self.lot)
        except (DecimalException, TypeError, ValueError):
            rest = Decimal(1)
        if rest or isinstance(quantity, float):
            _decimal(quantity, "quantity", QuantityError)
            raise QuantityError(f"quantity {quantity} is not a multiple of the lot {self.lot} of {self.symbol}; {_neighbours(quantity, self.lot)}")
        return int(lots)

    def price(self, ticks: int) -> Decimal:
        """The decimal price of whole ticks, with the decimals of the tick."""
        return _EXACT.multiply(Decimal(int(ticks)), self.tick)

    def quantity(self, lots: int) -> Decimal:
        """The decimal quantity of whole lots, with the decimals of the lot."""
        return _EXACT.multiply(Decimal(int(lots)), self.lot)


def _neighbours(number: Number, step: Decimal) -> str:
    """What could be meant instead. It is not chosen for anybody."""
    try:
        below = _EXACT.multiply(_EXACT.divide_int(Decimal(number), step), step)
    except DecimalException:
        return "it has more digits than any number we can trade"
    if below > Decimal(number):
        below -= step
    return f"{below} and {below + step} are: round it yourself, deliberately"
