"""What is wanted of `spawn`, and everything that can be wrong with it: checked before any process is started."""

from __future__ import annotations

import inspect
import math
from itertools import count as counting
from typing import Any, NamedTuple

from shm_exchange.domain.errors import ConfigError, NoFreeSession, SessionInUse
from shm_exchange.participants.arrivals import arrivals_of
from shm_exchange.participants.flows import FLOWS, checked_flow
from shm_exchange.runtime.affinity import checked_cores
from shm_exchange.runtime.functions import function_name, imported
from shm_exchange.shm.segment import Segment
from shm_exchange.supervisor.spawn import session_names

RATE_MAX = 10_000_000.0


class Wanted(NamedTuple):
    """What is to be spawned."""

    target: str
    """A flow, or module:function."""
    gateways: int = 1
    rate: float | None = None
    """Commands a second of each gateway; None: as fast as the lane takes them."""
    burst: int | None = None
    """Commands that come at the same moment."""
    orders: int | None = None
    """Commands of each gateway."""
    seconds: float | None = None
    seed: int | None = None
    symbols: tuple[str, ...] = ()
    """Empty: all instruments."""
    cores: tuple[int, ...] = ()
    session: str | None = None
    """A name in which {n} counts."""
    keep: bool = False
    """Leave open orders in the book."""
    arrivals: str | None = None
    """How a rate is spread over time; None: Poisson."""


def checked(wanted: Wanted) -> None:
    """Raises ConfigError for what cannot be wanted, whatever the exchange."""
    if ":" not in wanted.target:
        checked_flow(wanted.target)
    if wanted.gateways < 1:
        raise ConfigError(f"{wanted.gateways} gateways are none; spawn at least 1")
    if wanted.rate is not None and not 0 < wanted.rate <= RATE_MAX:
        raise ConfigError(
            f"a rate must be above 0 and at most {RATE_MAX:,.0f} a second, not {wanted.rate:g}; leave it out to go as fast as the lane takes"
        )
    if wanted.burst is not None and wanted.burst < 1:
        raise ConfigError(f"a burst has at least 1 command, not {wanted.burst}")
    if wanted.burst is not None and wanted.rate is None and wanted.target in FLOWS:
        raise ConfigError("bursts need a rate, which says how often they come; give one")
    if wanted.arrivals is not None:
        if wanted.target not in FLOWS or wanted.rate is None:
            raise ConfigError("arrivals say how the rate of a flow is spread; give a flow and a rate")
        arrivals_of(wanted.arrivals)
    if wanted.orders is not None and wanted.orders < 1:
        raise ConfigError(f"{wanted.orders} orders are none; send at least 1")
    if wanted.seconds is not None and not 0 < wanted.seconds < math.inf:
        raise ConfigError(f"{wanted.seconds:g} seconds are no time to run; give more than 0")
    if wanted.seed is not None and wanted.seed < 0:
        raise ConfigError(f"a seed is a whole number from 0, not {wanted.seed}")
    if wanted.cores:
        checked_cores(wanted.cores)


def parsed_cores(text: str) -> tuple[int, ...]:
    """Such as "0,1" or "0-3,8". Raises ConfigError, also for a core that cannot be used."""
    cores: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            cores += range(int(first), int(last or first) + 1)
    except ValueError:
        raise ConfigError(f"cores {text!r} are no list of cores; write 0,1 or 0-3") from None
    return checked_cores(cores)


def function_arguments(wanted: Wanted) -> dict[str, Any]:
    """What was asked for, as keywords of a target function. Raises ConfigError for what its signature does not take."""
    name = function_name(wanted.target)
    given: dict[str, object] = {"rate": wanted.rate, "burst": wanted.burst, "orders": wanted.orders, "seconds": wanted.seconds, "seed": wanted.seed}
    given |= {"symbols": wanted.symbols or None, "keep": wanted.keep or None}
    named = {key: value for key, value in given.items() if value is not None}
    try:
        parameters = inspect.signature(imported(name)).parameters.values()
    except ValueError:  # it has none that Python knows
        return named
    known = {parameter.name for parameter in parameters if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)}
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return named
    for key in named:
        if key not in known:
            raise ConfigError(
                f"{name} takes no argument {key!r}; leave out --{key.removesuffix('s') if key == 'symbols' else key}, or let it take {key}="
            )
    return named


def free_sessions(segment: Segment, wanted: Wanted) -> list[str]:
    """Names of the sessions to be, all of which can be had now. Raises SessionInUse, NoFreeSession, ConfigError."""
    names = _names(wanted, {session for session, number in _lanes(segment).items() if segment.is_held(number)})
    check_sessions(segment, names)
    return names


def check_sessions(segment: Segment, names: list[str]) -> None:
    """Raises SessionInUse where one of these sessions is held by somebody, NoFreeSession where there is no room for all of them."""
    owners, tails, lanes = segment.array("owner"), segment.array("report_tails"), _lanes(segment)
    alive = {session for session, number in lanes.items() if segment.is_held(number)}
    for name in names:
        if name in alive:
            pid = int(owners["pid"][lanes[name] - 1])
            raise SessionInUse(
                f"session {name!r} is held by process {pid}, which is alive; choose other names with --session, such as {name[:12]}x{{n}}"
            )
    kept = sum(session in alive or bool(tails["open_orders"][number]) for session, number in lanes.items() if session not in names)
    room = segment.config.max_sessions - kept
    if len(names) > room:
        cure = "spawn fewer, or start it with a greater max_sessions"
        raise NoFreeSession(
            f"exchange {segment.name!r} has room for {room} more gateways, not for {len(names)}: {kept} of its "
            f"{segment.config.max_sessions} sessions are taken, by living gateways or by open orders; {cure}"
        )


def _lanes(segment: Segment) -> dict[str, int]:
    """Lane numbers by the sessions that own them."""
    owners = segment.array("owner")
    return {
        bytes(owners["session"][number - 1]).decode(): number for number in range(1, segment.config.max_sessions + 1) if owners["session"][number - 1]
    }


def _names(wanted: Wanted, alive: set[str]) -> list[str]:
    """As the template says; without one, named after the target and numbered past those that live."""
    if wanted.session is not None:
        return session_names(wanted.session, wanted.target, 1, wanted.gateways)
    names: list[str] = []
    for number in counting(1):
        (name,) = session_names(None, wanted.target, number, 1)
        if name not in alive:
            names.append(name)
        if len(names) == wanted.gateways:
            return names
    raise AssertionError
