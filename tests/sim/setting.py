"""What a simulated exchange is like, and who plays in it."""

from __future__ import annotations

import random
from typing import NamedTuple

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.enums import JournalMode
from shm_exchange.domain.instrument import Instrument
from tests.sim.market import Gateway
from tests.sim.matching import Matcher

_MODES = {JournalMode.OFF: 2, JournalMode.ASYNC: 3, JournalMode.GROUP: 4, JournalMode.SYNC: 2}


class Cast(NamedTuple):
    """Who plays a part: mistakes are made by putting another one there."""

    matcher: type[Matcher] = Matcher
    gateway: type[Gateway] = Gateway


PRODUCT = Cast()


class Setting(NamedTuple):
    """What kind of exchange it is."""

    config: ExchangeConfig
    mode: JournalMode
    checkpoint_commands: int


def small_setting(mode: JournalMode, **sizes: int) -> Setting:
    """Rings as small as they may be, so that they wrap and overflow."""
    fixed = {"max_sessions": 3, "lane_capacity": 64, "report_capacity": 64, "depth": 3}
    return Setting(ExchangeConfig("sim", (Instrument("ONE"), Instrument("TWO")), **(fixed | sizes)), mode, 1 << 20)


def drawn_setting(draw: random.Random) -> Setting:
    """Some kind."""
    mode = draw.choices(tuple(_MODES), tuple(_MODES.values()))[0]
    setting = small_setting(
        mode,
        max_orders=draw.choice((24, 64)),
        event_capacity=draw.choice((64, 128, 256)),
        log_capacity=1024 if mode is JournalMode.OFF else draw.choice((64, 128, 256)),
        sweep_budget=draw.choice((2, 8, 32)),
    )
    return setting._replace(checkpoint_commands=draw.choice((32, 1 << 20)))
