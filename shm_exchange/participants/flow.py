"""A seeded order flow that looks like a market: one kernel makes a batch of COMMAND records for one gateway.

Every instrument has a mid price that walks slowly, the same way for all traders of a seed. Around it come, per thousand:

    4     deliberate mistakes: no quantity, a price outside the band, an unknown order, an unknown instrument
    ~380  changes of own resting orders (more above the target of open orders, fewer below): cancel, replace, reduce
    rest  new orders: 15 % IOC, 3 % market, 1 % fill-or-kill, 10 % post-only, 9 % limit orders that cross, the others limit orders near the mid

Order ids are known before they are submitted: lane << 40 | position. Nothing is drawn from numpy or the clock; the same seed and the same reports
make the same commands.
"""

from __future__ import annotations

import numpy as np

from shm_exchange._intrinsics import mix64
from shm_exchange._jit import inlined, kernel
from shm_exchange.domain.enums import CommandKind, Flag, OrderType, SelfTradePrevention, Side, TimeInForce
from shm_exchange.layout.records import COMMAND, REPORT
from shm_exchange.participants.portfolio import MID_UNIT, NIL, Portfolio, Traded, draw, new_portfolio, take_slot

ORDERS_A_STEP = 256
"""Orders of one trader between two steps of the mids."""
_STEP = 2 * MID_UNIT
_PULL = 9
_MISTAKES = 4
_CHANGES_BELOW, _CHANGES_ABOVE = 330, 620
_PASSIVE_TICKS = 24
_NO_INSTRUMENT = 0xFFFE
_POST_ONLY, _SLIDE, _PROTECTED = int(Flag.POST_ONLY), int(Flag.SLIDE), int(Flag.PROTECTED)


@inlined
def walk(portfolio, steps):
    """Move the mids until they have moved so often."""
    tally = portfolio.tally[0]
    while tally.steps < steps:
        for index in range(len(portfolio.markets)):
            market = portfolio.markets[index]
            tally.market_random += 1
            market.mid += mix64(tally.market_random) % (2 * _STEP + 1) - _STEP + ((market.anchor - market.mid) >> _PULL)
        tally.steps += 1


@inlined
def clear(command):
    """Nothing is said yet."""
    command.order_id = 0
    command.client_order_id = 0
    command.price_ticks = 0
    command.quantity = 0
    command.side = 0
    command.order_type = 0
    command.time_in_force = 0
    command.self_trade = 0
    command.modifiers = 0
    command.instrument = 0
    command.terms = 0


@inlined
def quotable(market, price_ticks):
    """The nearest price that may be quoted."""
    return min(max(market.low, price_ticks), market.high)


@inlined
def price_near(market, side, distance):
    """So many ticks behind the mid, seen from `side`; a negative distance reaches across."""
    away = 2 * side - 3
    return quotable(market, market.mid // MID_UNIT + away * distance)


@inlined
def _passive(tally):
    """A distance from the mid: near ones are drawn more often."""
    return 1 + draw(tally, 1 + draw(tally, _PASSIVE_TICKS))


@inlined
def lots(tally):
    """Mostly round, sometimes odd."""
    return 1 + draw(tally, 99) if draw(tally, 5) == 0 else 10 * (1 + draw(tally, 10))


@inlined
def _protect(tally):
    """What happens where an order meets another of its own account: three kinds of prevention, and none."""
    return SelfTradePrevention.CANCEL_RESTING + draw(tally, 3) if draw(tally, 4) else np.int64(SelfTradePrevention.NONE)


@inlined
def _fill_enter(portfolio, command, own, side):
    """Type, validity, modifiers and price of a new order; whether it may rest."""
    tally = portfolio.tally[0]
    market = portfolio.markets[own.market]
    command.order_type, command.time_in_force = OrderType.LIMIT, TimeInForce.IOC
    choice = draw(tally, 1000)
    if choice < 150:  # IOC
        command.price_ticks = price_near(market, side, -draw(tally, 5))
        return 0
    if choice < 180:
        command.order_type = OrderType.MARKET
        if draw(tally, 2):
            command.modifiers = _PROTECTED
            command.price_ticks = price_near(market, side, -8)
        return 0
    if choice < 190:
        command.time_in_force = TimeInForce.FOK
        command.price_ticks = price_near(market, side, -6)
        return 0
    command.time_in_force = TimeInForce.GTC
    if choice < 290:  # post-only, close to the market: some are refused, some slide
        command.modifiers = _POST_ONLY | _SLIDE if draw(tally, 2) else _POST_ONLY
        command.price_ticks = price_near(market, side, draw(tally, 4))
    elif choice < 380:  # crosses
        command.price_ticks = price_near(market, side, -1 - draw(tally, 4))
    else:
        command.price_ticks = price_near(market, side, _passive(tally))
    return 1


@inlined
def enter(portfolio, command, side, quantity, now_ns):
    """Begin a new order in a slot of its own, which is returned; its market, type and price are still to be said."""
    tally = portfolio.tally[0]
    slot = take_slot(portfolio)
    own = portfolio.own[slot]
    command.kind, command.side = CommandKind.ENTER, side
    command.client_order_id, command.quantity = slot, quantity
    own.order_id, own.side, own.sent_ns = tally.next_id, side, now_ns
    own.quantity = own.leaves = quantity
    own.filled = own.canceled = own.pending_id = own.pending_total = own.is_open = 0
    tally.orders += 1
    return slot


@inlined
def enter_market(portfolio, command, slot, index):
    """Say in which market a new order is."""
    own, market = portfolio.own[slot], portfolio.markets[index]
    own.market, command.instrument = index, market.instrument
    if own.side == Side.BUY:
        market.buys += 1
    else:
        market.sells += 1


@inlined
def _enter(portfolio, command, now_ns):
    """A new order of any kind."""
    tally = portfolio.tally[0]
    side = Side.BUY + draw(tally, 2)
    slot = enter(portfolio, command, side, lots(tally), now_ns)
    command.self_trade = _protect(tally)
    enter_market(portfolio, command, slot, draw(tally, len(portfolio.markets)))
    own = portfolio.own[slot]
    own.rests = _fill_enter(portfolio, command, own, side)


@inlined
def change(portfolio, command):
    """Begin to change one of our resting orders, drawn from all of them; its slot, or NIL when that one is being changed already."""
    tally = portfolio.tally[0]
    slot = portfolio.open_slots[draw(tally, tally.open_count)]
    own = portfolio.own[slot]
    if own.pending_id != 0:
        return np.int64(NIL)
    own.pending_id, own.pending_total = tally.next_id, 0
    command.order_id, command.client_order_id = own.order_id, slot
    return slot


@inlined
def replace(command, own, price_ticks, total):
    """Ask for another price, and for a total that counts what is filled."""
    command.kind, command.price_ticks = CommandKind.REPLACE, price_ticks
    command.quantity = own.pending_total = total


@inlined
def _change(portfolio, command):
    """Cancel, replace or reduce one of our resting orders; False when the one drawn is being changed already."""
    tally = portfolio.tally[0]
    slot = change(portfolio, command)
    if slot == NIL:
        return False
    own = portfolio.own[slot]
    choice = draw(tally, 100)
    if choice < 60:
        command.kind = CommandKind.CANCEL
    elif choice < 85:
        price_ticks = price_near(portfolio.markets[own.market], own.side, _passive(tally))
        replace(command, own, price_ticks, max(1, own.quantity - own.canceled + draw(tally, 41) - 20))
        command.self_trade = _protect(tally)
    else:
        command.kind = CommandKind.REDUCE
        command.quantity = 1 + draw(tally, own.leaves)
    return True


@inlined
def _mistake(portfolio, command):
    """A command that must be refused. It has no slot: nothing of it can ever be open."""
    tally, market = portfolio.tally[0], portfolio.markets[0]
    choice = draw(tally, 4)
    if choice == 0:
        command.kind, command.order_id = CommandKind.CANCEL, 1
        return
    command.kind, command.side, command.order_type = CommandKind.ENTER, Side.BUY, OrderType.LIMIT
    command.time_in_force, command.self_trade = TimeInForce.GTC, SelfTradePrevention.NONE
    command.price_ticks = market.low - 1 if choice == 1 else market.low
    command.quantity = 0 if choice == 2 else 1
    command.instrument = _NO_INSTRUMENT if choice == 3 else market.instrument
    tally.orders += 1


@kernel
def fill_commands(portfolio, commands, window, orders_until, now_ns):
    """Fill `commands` until `window` are unanswered, `orders_until` new orders were made in all, or no slot is free; returns how many."""
    tally = portfolio.tally[0]
    count, limit = 0, min(len(commands), window - (tally.commands - tally.answered))
    while count < limit and tally.orders < orders_until:
        walk(portfolio, tally.orders // ORDERS_A_STEP)
        command = commands[count]
        clear(command)
        choice = draw(tally, 1000)
        changes = _CHANGES_ABOVE if tally.open_count > tally.open_target else _CHANGES_BELOW
        if choice < _MISTAKES:
            _mistake(portfolio, command)
        elif choice >= changes or tally.open_count == 0 or not _change(portfolio, command):
            if tally.free_count == 0:
                break
            _enter(portfolio, command, now_ns)
        tally.next_id += 1
        count += 1
    tally.commands += count
    return count


def fence_command() -> np.ndarray:
    """A command that changes nothing and is always answered: all reports of what was matched before it come before its own."""
    commands = np.zeros(1, COMMAND)
    commands["kind"], commands["order_id"] = CommandKind.CANCEL, 1
    return commands


def warm_kernels() -> Portfolio:
    """Compile, or load from the cache, what a trader needs. Returns the portfolio it tried them on."""
    from shm_exchange.participants.settle import check_open, settle

    portfolio = new_portfolio([Traded(0, 100)], 1, 0, 4)
    commands = np.zeros(2, COMMAND).view(np.recarray)
    fill_commands(portfolio, commands, 0, 0, 0)
    settle(portfolio, np.zeros(0, REPORT).view(np.recarray), 0)
    check_open(portfolio)
    return portfolio
