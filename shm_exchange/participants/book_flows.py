"""The flows that look at the book: maker, taker, noise, ping, zero. Like `flow`, but each makes one command from the touch as it is now.

The touch comes from the snapshots, as any reader sees it. Where a side of a book is empty the walking mid stands in for it, so a flow also begins a
market of its own. A command that has a slot is settled by `settle`, so these flows too know what they have open.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shm_exchange._jit import inlined, kernel
from shm_exchange.domain.enums import CommandKind, Flag, OrderType, SelfTradePrevention, Side, TimeInForce
from shm_exchange.participants.flow import ORDERS_A_STEP, change, clear, enter, enter_market, fill_commands, lots, quotable, replace, walk
from shm_exchange.participants.flows import FlowKind
from shm_exchange.participants.portfolio import MID_UNIT, NIL, draw
from shm_exchange.snapshot.slots import Snapshots, read_snapshot

QUOTES = 3
"""Orders a maker has on each side of each market."""
NOISE_ORDERS = 64
PINGS_OPEN = 8
"""Resting pings that somebody else's order kept from being met, before they are canceled."""
ZERO_REACH = 50
"""Ticks from the best price of the other side within which zero intelligence places its limit orders, each as likely as any other."""
ZERO_LIMITS, ZERO_MARKETS = 100, 15
"""How often it enters a limit and a market order, where each of its open orders is canceled once: so it has about 85 of them open."""
_TRIES = 8
_POST_ONLY_SLIDE, _PROTECTED = int(Flag.POST_ONLY | Flag.SLIDE), int(Flag.PROTECTED)


class Reading(NamedTuple):
    """How a flow reads the books."""

    snapshots: Snapshots
    head: np.ndarray  # SNAPSHOT[1], private
    levels: np.ndarray  # PRICE_LEVEL[2 * depth], private


@inlined
def _look(market, reading):
    """Read the touch of a market; beside the mid where a side is empty, or where the snapshot cannot be read now."""
    mid = market.mid // MID_UNIT
    head, depth = reading.head[0], len(reading.levels) // 2
    found = read_snapshot(reading.snapshots, market.instrument, reading.head, reading.levels) > 0
    has_bid, has_ask = found and head.bid_count > 0, found and head.ask_count > 0
    bid, ask = reading.levels[0].price_ticks, reading.levels[depth].price_ticks
    market.bid = bid if has_bid else min(mid, ask) - 1 if has_ask else mid - 1
    market.ask = ask if has_ask else max(mid, bid) + 1 if has_bid else mid + 1


@inlined
def _order(command, order_type, time_in_force, price_ticks):
    command.order_type, command.time_in_force = order_type, time_in_force
    command.price_ticks, command.self_trade = price_ticks, SelfTradePrevention.NONE


@inlined
def _is_quoted(market):
    """Whether all quotes of a market are there, or on their way."""
    return market.buys >= QUOTES and market.sells >= QUOTES


@inlined
def _quote(portfolio, market, side):
    """A price on one side of the mid: the nearest ones are quoted most."""
    away = 1 + draw(portfolio.tally[0], QUOTES)
    return quotable(market, market.mid // MID_UNIT + (2 * side - 3) * away)


@inlined
def _requote(portfolio, command):
    """Replace one of our quotes, around the mid of now; False while all that were drawn are being replaced already."""
    tally = portfolio.tally[0]
    if tally.open_count == 0:
        return False
    for _ in range(_TRIES):
        slot = change(portfolio, command)
        if slot != NIL:
            own = portfolio.own[slot]
            price_ticks = _quote(portfolio, portfolio.markets[own.market], own.side)
            replace(command, own, price_ticks, own.filled + 10 * (1 + draw(tally, 10)))
            command.modifiers, command.self_trade = _POST_ONLY_SLIDE, SelfTradePrevention.NONE
            return True
    return False


@inlined
def _make(portfolio, command, now_ns):
    """Maker: quote what is missing, else replace a quote around the mid of now."""
    tally = portfolio.tally[0]
    walk(portfolio, tally.commands // ORDERS_A_STEP)
    index = draw(tally, len(portfolio.markets))
    market = portfolio.markets[index]
    if _is_quoted(market):
        return _requote(portfolio, command)
    side = np.int64(Side.BUY) if market.buys <= market.sells else np.int64(Side.SELL)
    slot = enter(portfolio, command, side, 10 * (1 + draw(tally, 10)), now_ns)
    enter_market(portfolio, command, slot, index)
    portfolio.own[slot].rests = 1
    _order(command, OrderType.LIMIT, TimeInForce.GTC, _quote(portfolio, market, side))
    command.modifiers = _POST_ONLY_SLIDE
    return True


@inlined
def _take(portfolio, reading, command, now_ns):
    """Taker: meet the best price of the other side, or a few ticks through it."""
    tally = portfolio.tally[0]
    walk(portfolio, tally.commands // ORDERS_A_STEP)
    index = draw(tally, len(portfolio.markets))
    market = portfolio.markets[index]
    side = Side.BUY + draw(tally, 2)
    _look(market, reading)
    slot = enter(portfolio, command, side, lots(tally), now_ns)
    enter_market(portfolio, command, slot, index)
    portfolio.own[slot].rests = 0
    through = 3 - 2 * side
    best = market.ask if side == Side.BUY else market.bid
    if draw(tally, 5) == 0:
        _order(command, OrderType.MARKET, TimeInForce.IOC, quotable(market, best + through * 8))
        command.modifiers = _PROTECTED
    else:
        _order(command, OrderType.LIMIT, TimeInForce.IOC, quotable(market, best + through * draw(tally, 3)))
    return True


@inlined
def _near(tally, market, side):
    """At the touch, a few ticks behind it, or sometimes one inside where there is room."""
    inside = 1 if draw(tally, 4) == 0 and market.ask - market.bid > 1 else 0
    behind = 0 if inside else draw(tally, 4)
    return quotable(market, market.bid + inside - behind if side == Side.BUY else market.ask - inside + behind)


@inlined
def _rustle(portfolio, reading, command, now_ns):
    """Noise: an order near the touch, or the cancel of one."""
    tally = portfolio.tally[0]
    walk(portfolio, tally.commands // ORDERS_A_STEP)
    cancels = 90 if tally.open_count >= NOISE_ORDERS else 45
    if tally.open_count > 0 and draw(tally, 100) < cancels:
        command.kind = CommandKind.CANCEL
        if change(portfolio, command) != NIL:
            return True
        clear(command)
    index = draw(tally, len(portfolio.markets))
    market = portfolio.markets[index]
    side = Side.BUY + draw(tally, 2)
    _look(market, reading)
    slot = enter(portfolio, command, side, lots(tally), now_ns)
    enter_market(portfolio, command, slot, index)
    portfolio.own[slot].rests = 1
    _order(command, OrderType.LIMIT, TimeInForce.GTC, _near(tally, market, side))
    return True


@inlined
def _ping(portfolio, reading, command, now_ns):
    """Ping: buy one lot at a price that meets nobody, then sell one lot at that price."""
    tally = portfolio.tally[0]
    if tally.open_count > PINGS_OPEN:
        command.kind = CommandKind.CANCEL
        if change(portfolio, command) != NIL:
            return True
        clear(command)
    index, buys = tally.orders // 2 % len(portfolio.markets), tally.orders % 2 == 0
    market = portfolio.markets[index]
    slot = enter(portfolio, command, np.int64(Side.BUY) if buys else np.int64(Side.SELL), 1, now_ns)
    enter_market(portfolio, command, slot, index)
    portfolio.own[slot].rests = 1 if buys else 0
    if buys:
        _look(market, reading)
        tally.ping_ticks = quotable(market, max(market.bid, min(market.ask - 1, market.anchor // MID_UNIT)))
        _order(command, OrderType.LIMIT, TimeInForce.GTC, tally.ping_ticks)
    else:
        _order(command, OrderType.LIMIT, TimeInForce.IOC, tally.ping_ticks)
    return True


@inlined
def _draw_anything(portfolio, reading, command, now_ns):
    """Zero intelligence (Santa Fe): limit orders at uniform distances, market orders, and cancels in proportion to what is open."""
    tally = portfolio.tally[0]
    choice = draw(tally, ZERO_LIMITS + ZERO_MARKETS + tally.open_count)
    if choice >= ZERO_LIMITS + ZERO_MARKETS or tally.open_count >= tally.open_target > 0:
        command.kind = CommandKind.CANCEL
        if change(portfolio, command) != NIL:
            return True
        clear(command)
    index = draw(tally, len(portfolio.markets))
    market = portfolio.markets[index]
    side = Side.BUY + draw(tally, 2)
    _look(market, reading)
    slot = enter(portfolio, command, side, lots(tally), now_ns)
    enter_market(portfolio, command, slot, index)
    if choice < ZERO_LIMITS:
        portfolio.own[slot].rests = 1
        away = 1 + draw(tally, ZERO_REACH)
        _order(command, OrderType.LIMIT, TimeInForce.GTC, quotable(market, market.ask - away if side == Side.BUY else market.bid + away))
    else:
        portfolio.own[slot].rests = 0
        _order(command, OrderType.MARKET, TimeInForce.IOC, 0)
    return True


@kernel
def make_command(kind, portfolio, reading, commands, now_ns):
    """Make the next command of a flow in commands[0], as due at `now_ns`; 0 when nothing can be made before something is answered."""
    if kind == FlowKind.RANDOM:
        return fill_commands(portfolio, commands, len(portfolio.own), 1 << 62, now_ns)
    tally, command = portfolio.tally[0], commands[0]
    if tally.free_count == 0:
        return 0
    clear(command)
    if kind == FlowKind.MAKER:
        made = _make(portfolio, command, now_ns)
    elif kind == FlowKind.TAKER:
        made = _take(portfolio, reading, command, now_ns)
    elif kind == FlowKind.NOISE:
        made = _rustle(portfolio, reading, command, now_ns)
    elif kind == FlowKind.ZERO:
        made = _draw_anything(portfolio, reading, command, now_ns)
    else:
        made = _ping(portfolio, reading, command, now_ns)
    if not made:
        return 0
    tally.next_id += 1
    tally.commands += 1
    return 1
