"""What a participant does, in plain Python: a class with up to four verbs, and parameters that are checked.

    @dataclass
    class Follower(Behaviour):
        quantity: int = parameter(1, "lots", "of each order", least=1)

        def on_market(self, market):                      the book has moved, a moment of `rate` has come, or one of `wake_in`
            if market.last_ticks and market.bid_ticks and market.last_ticks > market.mid_ticks:
                market.limit(Side.BUY, market.bid_ticks, self.quantity)

The same class runs as a process of its own on a real exchange, and in simulated time. It sees nothing but its Market: no clock, no other randomness.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.names import nearest

if TYPE_CHECKING:
    from shm_exchange.client.report import Report
    from shm_exchange.participants.market import Market


class Behaviour:
    """Does nothing: override what you need. One object a participant, called by one thread, never two verbs at once."""

    watches_trades = False
    """Whether `market.volume` is wanted: it costs reading every event."""

    def on_start(self, market: Market) -> None:
        """Before anything else, when the market begins."""

    def on_market(self, market: Market) -> None:
        """There is something to look at: newer prices, or, with a rate, a moment at which to act; or the time asked for by `wake_in` has come."""

    def on_report(self, market: Market, report: Report) -> None:
        """Something became of one of its orders; `market` knows of it already."""

    def on_stop(self, market: Market) -> None:
        """At the end. What it still sends is sent; then what is open is canceled."""


class Function(Behaviour):
    """A function `(market, **parameters)` as an `on_market`."""

    def __init__(self, function: Callable[..., object], **parameters: object) -> None:
        self._function, self._parameters = function, parameters

    def on_market(self, market: Market) -> None:
        """Call it."""
        self._function(market, **self._parameters)


def parameter(
    default: float | str | bool, unit: str, says: str, *, least: float = -math.inf, most: float = math.inf, above: float = -math.inf
) -> Any:
    """A field of a behaviour that is a dataclass: its default, its unit ("" for none), what it means, and its bounds."""
    return dataclasses.field(default=default, metadata={"unit": unit, "says": says, "least": least, "most": most, "above": above})


def parameters_of(kind: type[Behaviour]) -> tuple[dataclasses.Field[Any], ...]:
    """The parameters of a behaviour; none where it is no dataclass."""
    return tuple(field for field in dataclasses.fields(kind) if field.init) if dataclasses.is_dataclass(kind) else ()


def made(kind: type[Behaviour], given: Mapping[str, object]) -> Behaviour:
    """A behaviour with those parameters. Raises ConfigError, which names an unknown one, a wrong type, and a value out of bounds."""
    fields = {field.name: field for field in parameters_of(kind)}
    for name, value in given.items():
        if name not in fields:
            known = f"; it takes {', '.join(fields)}" if fields else "; it takes none"
            raise ConfigError(f"{kind.__name__} has no parameter {name!r}{nearest(name, fields)}{known}")
        _check(kind, fields[name], value)
    values = {name: _as_declared(fields[name], value) for name, value in given.items()}
    try:
        return cast("Callable[..., Behaviour]", kind)(**values)
    except TypeError as error:
        raise ConfigError(f"{kind.__name__} cannot be made: {error}; give its parameters defaults") from error


def _as_declared(field: dataclasses.Field[Any], value: object) -> object:
    """A whole number is as good as a float."""
    return float(value) if field.type in ("float", float) and isinstance(value, int) else value


def _check(kind: type[Behaviour], field: dataclasses.Field[Any], value: object) -> None:
    """Its type is that of its default; numbers lie within its bounds."""
    wanted = type(field.default)
    where, unit = f"{field.name} of {kind.__name__}", f" {field.metadata['unit']}" if field.metadata.get("unit") else ""
    if field.default is not dataclasses.MISSING and wanted in (int, float, str, bool):
        fits = isinstance(value, (int, float)) if wanted is float else isinstance(value, wanted)
        if not fits or (isinstance(value, bool) and wanted is not bool):
            words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}[wanted]
            raise ConfigError(f"{where} must be {words}, not {value!r}; its default is {field.default!r}{unit}")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        bounds = field.metadata
        least, most, above = bounds.get("least", -math.inf), bounds.get("most", math.inf), bounds.get("above", -math.inf)
        if not least <= value <= most or value <= above:
            limits = (
                [f"above {above:g}"] * (above > -math.inf) + [f"at least {least:g}"] * (least > -math.inf) + [f"at most {most:g}"] * (most < math.inf)
            )
            raise ConfigError(f"{where} must be {' and '.join(limits) or 'a finite number'}{unit}, not {value!r}")
