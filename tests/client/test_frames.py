"""Pictures of a book for people and for data frames; records as they are for pandas and polars."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from decimal import Decimal

import pytest

from shm_exchange import EventFeed, Gateway, MarketView, Side
from shm_exchange.client import Level
from shm_exchange.client.ladder import ladder_html
from shm_exchange.domain.errors import MissingExtra
from shm_exchange.supervisor.supervisor import Supervisor
from tests.litmus.exchanges import take

Attach = Callable[..., Gateway]
BUY, SELL = Side


@pytest.fixture
def view(exchange: Supervisor) -> MarketView:
    return MarketView.attach(exchange.name, "ACME")


def quote(gateway: Gateway, bids: int, asks: int) -> None:
    for step in range(bids):
        gateway.limit("ACME", BUY, price_ticks=1000 - step, quantity=1000 * (step + 1))
    for step in range(asks):
        gateway.limit("ACME", SELL, price_ticks=1005 + step, quantity=step + 1)
    take(gateway, bids + asks)


def test_a_frame_has_a_row_for_each_level(view: MarketView, attach: Attach) -> None:
    pytest.importorskip("pandas")
    empty = view.frame()
    assert (list(empty.columns), len(empty)) == (["bid_quantity", "bid_price", "ask_price", "ask_quantity"], 0)
    quote(attach(), 3, 2)
    frame = view.frame()
    assert (frame.index.name, frame.index.tolist()) == ("level", [1, 2, 3])
    assert {str(kind) for kind in frame.dtypes} == {"float64"}
    assert frame["bid_price"].tolist() == [10.0, 9.99, 9.98]
    assert frame["bid_quantity"].tolist() == [1000, 2000, 3000]
    assert frame["ask_price"].tolist()[:2] == [10.05, 10.06]
    assert frame.loc[3, ["ask_price", "ask_quantity"]].isna().all()
    assert len(view.frame(1)) == 1


def test_without_pandas_it_is_asked_for(view: MarketView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtra, match=r"pip install 'shm-exchange\[frame\]'"):
        view.frame()


def test_records_are_data_frames_as_they_are(exchange: Supervisor, view: MarketView, attach: Attach) -> None:
    """README's lines for pandas and polars. What becomes of the array afterwards is nothing to the frame."""
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    gateway = attach()
    with EventFeed.attach(exchange.name) as feed:
        quote(gateway, 2, 2)
        gateway.mass_cancel()
        first = feed.poll_array(2)
        frames = [pandas.DataFrame(first), polars.from_numpy(first)]
        before = first["number"].tolist()
        assert feed.poll_array(2)["number"].tolist() != before
        for frame in frames:
            assert frame["number"].to_list() == before
            assert list(frame.columns) == list(first.dtype.names or ())
        take(gateway, 5)
        gateway.limit("ACME", BUY, "1.00", 5)
        gateway.wait()
        reports = gateway.poll_array()
        assert pandas.DataFrame(reports)["quantity"].tolist() == polars.from_numpy(reports)["quantity"].to_list() == [5]
        bids, _ = view.depth_array()
        assert pandas.DataFrame(bids)["price_ticks"].tolist() == polars.from_numpy(bids)["price_ticks"].to_list() == [100]


def cells(html: str) -> list[list[str]]:
    """What stands in the table, row by row; it must be well-formed."""
    return [["".join(cell.itertext()) for cell in row] for row in ET.fromstring(html.replace("&nbsp;", " "))]  # noqa: S314 (our own)


def test_a_ladder_in_a_notebook(view: MarketView, attach: Attach) -> None:
    quote(attach(), 2, 1)
    assert cells(view._repr_html_()) == [
        ["bid", "ACME", "ask"],
        ["", "10.05", "1"],
        ["spread 0.05 · no trade yet"],
        ["1,000", "10.00", ""],
        ["2,000", "9.99", ""],
    ]
    assert cells(view.top()._repr_html_())[0] == ["bid", "price", "ask"]
    assert repr(view) == f"<MarketView ACME of {view._segment.name!r}>"


def test_a_ladder_escapes_and_stands_when_it_is_empty() -> None:
    last = Level(Decimal("1234.50"), Decimal("0.5"))
    assert cells(ladder_html("<b>A&B", [], [], last)) == [["bid", "<b>A&B", "ask"], ["no spread: a side is empty · last 0.5 @ 1,234.50"]]
