"""The engine's state as its rules see it, apart from where things lie: what a checkpoint keeps.

`export_book` walks every ladder, best level first, and writes each queue in order. `import_image` builds a book that behaves the same for ever:
pages charged to the same sessions, sessions with their orders in order of entry, queues in the same order. Slots, links and hashes are made anew,
because no output depends on them; so an image fits pools of any size that hold it.

Whether a snapshot is due is no part of it: behind an import all are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shm_exchange._jit import inlined, kernel
from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.limits import PRICE_TICKS_MAX
from shm_exchange.engine.book import NIL, RANK_BIAS, Book, new_book
from shm_exchange.engine.ladder import ladder_of, link_order, mark_changed, next_level, open_page, price_of_rank, rank_of_level, rank_of_price
from shm_exchange.engine.orders import take_slot
from shm_exchange.engine.outputs import Subject
from shm_exchange.layout.images import IMAGE_ACCOUNT, IMAGE_ORDER, IMAGE_PAGE, IMAGE_SESSION, IMAGE_STATE, IMAGE_TRADED
from shm_exchange.layout.regions import max_accounts


class Image(NamedTuple):
    """The tables, in canonical order: two books in the same state have the same image, byte for byte."""

    state: np.ndarray  # IMAGE_STATE[1]
    sessions: np.ndarray  # IMAGE_SESSION[max_sessions], session 1 first
    accounts: np.ndarray  # IMAGE_ACCOUNT[accounts known], account 1 first
    traded: np.ndarray  # IMAGE_TRADED[instruments]
    pages: np.ndarray  # IMAGE_PAGE[pages], ladder by ladder, best first
    orders: np.ndarray  # IMAGE_ORDER[open orders], ladder by ladder, best level first, first in the queue first


DTYPES = (IMAGE_STATE, IMAGE_SESSION, IMAGE_ACCOUNT, IMAGE_TRADED, IMAGE_PAGE, IMAGE_ORDER)
"""Of the tables, in their order."""
_STATE = ("sequence", "time_ns", "next_event", "trades", "rejects", "admission")
_SESSION = ("next_report", "position", "name_low", "name_high", "account", "logged_on", "cancel_on_disconnect")
_TRADED = ("last_price_ticks", "last_quantity", "last_match_id")


def image_of(*tables: np.ndarray) -> Image:
    """The tables as kernels need them."""
    return Image(*(table.view(dtype).view(np.recarray) for table, dtype in zip(tables, DTYPES, strict=True)))


def export_book(book: Book) -> Image:
    """The image of a book between two commands."""
    state = book.state[0]
    counts = (1, len(book.sessions) - 1, state.account_count, len(book.traded), state.pages, state.open_orders)
    image = image_of(*(np.zeros(int(count), dtype) for count, dtype in zip(counts, DTYPES, strict=True)))
    accounts = book.accounts[1 : int(state.account_count) + 1]
    for source, target, names in (
        (book.state, image.state, _STATE),
        (book.sessions[1:], image.sessions, _SESSION),
        (accounts, image.accounts, IMAGE_ACCOUNT.names or ()),
        (book.traded, image.traded, _TRADED),
    ):
        for name in names:
            target[name] = source[name]
    _export_ladders(book, np.zeros(len(book.orders), np.int32), image.pages, image.orders)
    return image


def import_image(config: ExchangeConfig, image: Image, multiplier: int) -> Book:
    """A new book in the state of the image; `multiplier` as in `new_book`. Raises ConfigError where the image does not fit the configuration."""
    if misfit := _misfit(config, image):
        raise ConfigError(f"the image of a book does not fit exchange {config.name!r}: {misfit}; use the configuration that it was made with")
    book = new_book(config, multiplier)
    for name in _STATE:
        book.state[name] = image.state[name]
    for name in _SESSION:
        book.sessions[name][1:] = image.sessions[name]
    for name in _TRADED:
        book.traded[name] = image.traded[name]
    book.state["account_count"] = len(image.accounts)
    book.accounts["low"][1 : len(image.accounts) + 1] = image.accounts["low"]
    book.accounts["high"][1 : len(image.accounts) + 1] = image.accounts["high"]
    by_entry = np.lexsort((image.orders["entry"], image.orders["session"]))
    _import_ladders(book, image.pages, image.orders, by_entry, np.zeros(len(image.orders), np.int64))
    return book


@kernel
def _export_ladders(book, entries, pages, orders):
    """Fill both tables; `entries` (i4, one for each slot of the pool) is scratch."""
    for session in range(1, len(book.sessions)):
        slot, entry = np.int64(book.sessions[session].first_order), 0
        while slot != NIL:
            entries[slot] = entry
            entry += 1
            slot = np.int64(book.orders[slot].session_following)
    page_count, order_count = 0, 0
    for ladder in range(len(book.ladders)):
        level_index, page = np.int64(book.ladders[ladder].best_level), NIL
        while level_index != NIL:
            rank = rank_of_level(book, level_index)
            if level_index >> 6 != page:
                page = level_index >> 6
                row = pages[page_count]
                row.prefix, row.ladder, row.session = rank >> 6, ladder, book.nodes[page].session
                page_count += 1
            slot = np.int64(book.levels[level_index].first)
            while slot != NIL:
                _export_order(book.orders[slot], orders[order_count], entries[slot], ladder, price_of_rank(ladder, rank))
                order_count += 1
                slot = np.int64(book.orders[slot].following)
            level_index = next_level(book, level_index)


@inlined
def _export_order(order, row, entry, ladder, price_ticks):
    row.order_id, row.client_order_id = order.order_id, order.client_order_id
    row.leaves_quantity, row.filled_quantity = order.leaves_quantity, order.filled_quantity
    row.price_ticks, row.entry = price_ticks, entry
    row.session, row.account = order.session, order.account
    row.instrument, row.side = ladder >> 1, (ladder & 1) + 1


@kernel
def _import_ladders(book, pages, orders, by_entry, slots):
    """Pages first, so that each is charged to its own session; then orders as their sessions entered them; then the queues. `slots`: scratch."""
    for index in range(len(pages)):
        page = pages[index]
        open_page(book, np.int64(page.ladder), page.prefix << 6, np.int64(page.session))
    for place in range(len(by_entry)):
        index = by_entry[place]
        order = orders[index]
        ladder = ladder_of(np.int64(order.instrument), np.int64(order.side))
        subject = Subject(order.order_id, order.client_order_id, np.int64(order.session), np.int64(order.account), ladder)
        slots[index] = take_slot(book, subject, order.leaves_quantity, order.filled_quantity)
    for index in range(len(orders)):
        order = orders[index]
        ladder = ladder_of(np.int64(order.instrument), np.int64(order.side))
        link_order(book, ladder, rank_of_price(ladder, order.price_ticks), slots[index])
    for ladder in range(len(book.ladders)):
        mark_changed(book, ladder, 0)


def _misfit(config: ExchangeConfig, image: Image) -> str:
    """Why importing would leave the arrays of a book, in words; nothing where it would not. What else may be wrong `check_book` finds."""
    book_has = {
        "state": (len(image.state), 1, 1),
        "sessions": (len(image.sessions), config.max_sessions, config.max_sessions),
        "accounts": (len(image.accounts), 0, max_accounts(config)),
        "instruments": (len(image.traded), len(config.instruments), len(config.instruments)),
        "ladder pages": (len(image.pages), 0, config.max_pages),
        "orders": (len(image.orders), 0, config.max_orders),
    }
    for name, (count, low, high) in book_has.items():
        if not low <= count <= high:
            return f"it has {count} {name}, and there is room for {high}"
    orders, pages = image.orders, image.pages
    ladder_max = 2 * len(config.instruments) - 1
    ladders = orders["instrument"].astype(np.int64) * 2 + orders["side"] - 1
    good = _within(orders["session"], 1, config.max_sessions) & _within(orders["side"], 1, 2) & _within(ladders, 0, ladder_max)
    good &= _within(orders["price_ticks"], -PRICE_TICKS_MAX, PRICE_TICKS_MAX)
    if not good.all():
        return f"order {orders['order_id'][~good][0]} names a session, a price or an instrument that there is not"
    if not (_within(pages["session"], 1, config.max_sessions) & _within(pages["ladder"], 0, ladder_max)).all():
        return "a ladder page names a session or an instrument that there is not"
    ranks = ((ladders & 1) * 2 - 1) * orders["price_ticks"] + RANK_BIAS
    needed, there = np.unique(ladders << 48 | ranks >> 6), np.sort(pages["ladder"].astype(np.int64) << 48 | pages["prefix"])
    return "" if np.array_equal(needed, there) else "its ladder pages are not those that its orders lie in"


def _within(numbers: np.ndarray, low: int, high: int) -> np.ndarray:
    return (numbers >= low) & (numbers <= high)
