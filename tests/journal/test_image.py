"""A book that was taken apart and put together again behaves as if nothing had happened."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from shm_exchange._jit import INTERPRETED
from shm_exchange.domain.enums import Admission, CommandKind, OrderType, RejectReason, SelfTradePrevention, Side, TimeInForce
from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.limits import PRICE_TICKS_MAX
from shm_exchange.domain.names import name_words
from shm_exchange.engine.check import check_book, state_hash
from shm_exchange.engine.engine import Engine
from shm_exchange.engine.image import Image, export_book, import_image
from tests.journal.histories import COMMANDS, book_at, continued, history
from tests.oracle.flow import MARKET, PROFILES, as_records
from tests.oracle.messages import Command

CUTS = 2 if INTERPRETED else 6
MULTIPLIER = 0x1234_5678_9ABC_DEF1


def image_at(profile: str, sequence: int) -> Image:
    past = history(profile)
    return export_book(book_at(past.config, past.log, sequence))


@pytest.mark.parametrize("profile", PROFILES)
def test_it_goes_on_as_if_nothing_had_happened(profile: str) -> None:
    """Through several lives, at whatever moment each ends, in every state of quotas, pages and self-trades that the flow brings."""
    past, draw = history(profile), Random(profile)
    cuts = sorted(draw.sample(range(COMMANDS), CUTS))
    book = book_at(past.config, past.log, cuts[0])
    for first, last in zip(cuts, [*cuts[1:], COMMANDS], strict=True):
        engine = continued(past.config, import_image(past.config, export_book(book), draw.getrandbits(62)))
        assert engine.check() == 0
        assert engine.state_hash() == past.hashes[first]
        outputs = engine.apply(past.log[first:last])
        assert engine.check() == 0
        assert engine.state_hash() == past.hashes[last]
        events = past.events[np.isin(past.events["sequence"], np.arange(first, last))]
        assert np.array_equal(outputs.events, events)
        for session, reports in outputs.reports.items():
            assert np.array_equal(reports, past.reports[session][reports["number"][0] - 1 : reports["number"][-1]])
        book = engine.book


@pytest.mark.parametrize("profile", PROFILES)
def test_one_state_has_one_image(profile: str) -> None:
    image = image_at(profile, COMMANDS)
    again = export_book(import_image(history(profile).config, image, MULTIPLIER))
    assert [table.tobytes() for table in again] == [table.tobytes() for table in image]
    assert len(image.orders) > 10


def test_it_fits_pools_of_any_size_that_hold_it() -> None:
    past = history("tight")
    config = replace(past.config, max_orders=5000, max_pages=700, session_orders=5000, session_pages=700)
    book = import_image(config, image_at("tight", COMMANDS), MULTIPLIER)
    assert check_book(book) == 0
    assert state_hash(book) == past.hashes[-1]


def test_all_snapshots_are_due_behind_it() -> None:
    book = import_image(MARKET.config, image_at("market", 100), MULTIPLIER)
    assert sorted(book.due[: book.state[0].snapshots_due].tolist()) == list(range(len(MARKET.config.instruments)))


def test_a_page_stays_charged_to_the_session_that_opened_it() -> None:
    """Though no order of it lies there any more."""
    config = replace(MARKET.config, session_pages=1)
    logons = [Command(session << 40 | 1, *name_words("s"), *name_words(f"a{session}"), kind=CommandKind.LOGON) for session in (1, 2)]
    words = {"kind": CommandKind.ENTER, "order_type": OrderType.LIMIT, "time_in_force": TimeInForce.GTC, "self_trade": SelfTradePrevention.NONE}
    order = Command(1 << 40 | 2, price_ticks=1000, quantity=1, side=Side.BUY, **words)
    cancel = Command(1 << 40 | 3, order_id=order.command_id, kind=CommandKind.CANCEL)
    log = [*logons, order, order._replace(command_id=2 << 40 | 2), cancel]
    elsewhere = [order._replace(command_id=session << 40 | 4, price_ticks=100) for session in (1, 2)]
    engine = Engine(config)
    engine.apply(as_records(log))
    image = export_book(engine.book)
    assert image.pages["session"].tolist() == [1]
    outputs = continued(config, import_image(config, image, MULTIPLIER)).apply(as_records(elsewhere))
    assert outputs.reports[1]["reason"].tolist() == [RejectReason.SESSION_PAGES_FULL]
    assert outputs.reports[2]["reason"].tolist() == [0]


def test_what_is_admitted_stays_so() -> None:
    logon = Command(1 << 40 | 1, *name_words("s"), *name_words("a"), kind=CommandKind.LOGON)
    engine = Engine(MARKET.config)
    engine.apply(as_records([logon, Command(1, kind=CommandKind.ADMIT, quantity=Admission.REDUCING)]))
    again = continued(MARKET.config, import_image(MARKET.config, export_book(engine.book), MULTIPLIER))
    assert again.state_hash() == engine.state_hash()
    outputs = again.apply(as_records([Command(1 << 40 | 2, kind=CommandKind.ENTER)]))
    assert outputs.reports[1]["reason"].tolist() == [RejectReason.REDUCING_ONLY]


MISFITS = {
    "an order of a session that there is not": ("orders", "session", 8, "names a session"),
    "an order of nobody": ("orders", "session", 0, "names a session"),
    "an order of an instrument that there is not": ("orders", "instrument", 3, "names a session, a price or an instrument"),
    "an order on no side": ("orders", "side", 0, "names a session, a price or an instrument"),
    "an order beyond any price": ("orders", "price_ticks", PRICE_TICKS_MAX + 1, "names a session, a price"),
    "an order in no page": ("orders", "price_ticks", 1, "ladder pages are not those"),
    "a page of a ladder that there is not": ("pages", "ladder", 6, "a ladder page names"),
    "a page of nobody": ("pages", "session", 0, "a ladder page names"),
    "a page without orders": ("pages", "prefix", 5, "ladder pages are not those"),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_what_would_leave_the_arrays_is_refused(misfit: str) -> None:
    table, field, value, why = MISFITS[misfit]
    image = image_at("market", COMMANDS)
    getattr(image, table)[field][3] = value
    with pytest.raises(ConfigError, match=why):
        import_image(MARKET.config, image, MULTIPLIER)


@pytest.mark.parametrize("table", ["sessions", "accounts", "traded", "pages", "orders"])
def test_what_finds_no_room_is_refused(table: str) -> None:
    image = image_at("tight", COMMANDS)
    longer = np.resize(getattr(image, table), 100).view(np.recarray)
    with pytest.raises(ConfigError, match=r"it has 100 (\w| )+, and there is room for"):
        import_image(PROFILES["tight"].config, image._replace(**{table: longer}), MULTIPLIER)
