"""The behaviours that a market knows by name. Light: help texts are made from it, and a class is imported only when it is used."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.names import nearest
from shm_exchange.participants.behaviour import Behaviour, Function, made
from shm_exchange.participants.flows import FLOWS


class Named(NamedTuple):
    """A ready behaviour."""

    target: str
    says: str


_HERE = "shm_exchange.participants"
BEHAVIOURS = {
    "market_maker": Named(f"{_HERE}.quoting:MarketMaker", "quotes both sides around a price that leans against its inventory (Avellaneda–Stoikov)"),
    "momentum": Named(f"{_HERE}.trends:Momentum", "buys what has risen, sells what has fallen"),
    "mean_reversion": Named(f"{_HERE}.trends:MeanReversion", "sells what has risen, buys what has fallen"),
    "twap": Named(f"{_HERE}.executors:Twap", "works off one large order in equal slices"),
    "vwap": Named(f"{_HERE}.executors:Vwap", "works off one large order as a share of what is traded, or by a volume profile"),
    "latency_arbitrageur": Named(f"{_HERE}.stale:LatencyArbitrageur", "hits stale quotes by the price of a faster symbol or exchange"),
    "replay": Named(f"{_HERE}.recorded:Replay", "sends the commands of a LOBSTER or CSV file"),
}


def class_of(name: str) -> type[Behaviour] | None:
    """The class of a behaviour; None for a built-in flow and for a function. Raises ConfigError."""
    if name in FLOWS:
        return None
    found = _imported(name)
    if isinstance(found, type) and issubclass(found, Behaviour):
        return found
    if isinstance(found, type) or not callable(found):
        raise ConfigError(f"{name} is neither a Behaviour nor a function; derive it from shm_exchange.participants.behaviour.Behaviour")
    return None


def behaviour_of(name: str, given: Mapping[str, object], seed: int = 1, number: int = 0) -> Behaviour:
    """A behaviour by name, or by module:Class or module:function, with its parameters. Raises ConfigError."""
    if name in FLOWS:
        if given:
            raise ConfigError(
                f"{name} is a built-in flow and takes no parameter {next(iter(given))!r}; flows have rate, burst, arrivals and seed only"
            )
        from shm_exchange.participants.flow_behaviour import FlowBehaviour

        return FlowBehaviour(name, seed, number)
    kind = class_of(name)
    if kind is not None:
        return made(kind, given)
    function = cast("Callable[..., object]", _imported(name))
    _check_function(name, function, given)
    return Function(function, **given)


def _imported(name: str) -> object:
    target = BEHAVIOURS[name].target if name in BEHAVIOURS else name
    module, colon, qualname = target.partition(":")
    if not colon:
        known = (*BEHAVIOURS, *FLOWS)
        raise ConfigError(
            f"there is no behaviour {name!r}{nearest(name, known)}; known are {', '.join(known)}, or give a class or function as module:name"
        )
    try:
        found: object = importlib.import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"behaviour {name} cannot be imported ({error}); put it into a module on sys.path") from error
    return found


def _check_function(name: str, function: Callable[..., object], given: Mapping[str, object]) -> None:
    """It takes the market, and every parameter by name."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # it has none that Python knows
        return
    for key in given:
        parameters = signature.parameters
        if key not in parameters and not any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
            raise ConfigError(f"{name} has no parameter {key!r}{nearest(key, parameters)}; it takes {', '.join(list(parameters)[1:]) or 'none'}")
    try:
        signature.bind(None, **given)
    except TypeError as error:
        raise ConfigError(f"{name} cannot be called as (market, **parameters): {error}") from error
