"""Every array has its place, every page one writer, and the default exchange stays small."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.limits import CACHE_LINE, INSTRUMENTS_MAX, PAGE, SESSIONS_MAX
from shm_exchange.layout import headers
from shm_exchange.layout.regions import Layout, Region, Writer, _check, describe, layout_of, max_accounts


def _config(instruments: int = 1, **sizes: int) -> ExchangeConfig:
    return ExchangeConfig("demo", tuple(Instrument(f"I{number}") for number in range(instruments)), **sizes)


def _pages(region: Region) -> set[int]:
    """Pages of the first copy and, of a gateway's array, of the last."""
    pages: set[int] = set()
    for session in {1, region.sessions or 1}:
        start = region.start(session)
        pages.update(range(start // PAGE, (start + region.size - 1) // PAGE + 1))
    return pages


def test_the_default_exchange_fits_forty_megabytes() -> None:
    assert layout_of(_config()).size <= 40_000_000


_SMALL = st.builds(
    _config,
    instruments=st.integers(1, 9),
    max_sessions=st.integers(1, 130),
    depth=st.integers(1, 64),
    lane_capacity=st.sampled_from((64, 128, 4096)),
    report_capacity=st.sampled_from((64, 256)),
    event_capacity=st.sampled_from((256, 1024)),
    log_capacity=st.sampled_from((256, 4096)),
)


@given(config=_SMALL)
def test_no_page_has_two_writers_and_no_arrays_overlap(config: ExchangeConfig) -> None:
    layout = layout_of(config)
    writer_of: dict[int, Writer] = {}
    end = 0
    for region in layout.regions.values():
        assert region.offset >= end
        assert region.offset % CACHE_LINE == 0
        end = region.offset + region.size
        for page in _pages(region):
            assert writer_of.setdefault(page, region.writer) is region.writer
    assert layout.regions["lane"].start(config.max_sessions) + layout.regions["lane"].size <= layout.size


@given(config=_SMALL)
def test_every_session_has_pages_of_its_own(config: ExchangeConfig) -> None:
    layout = layout_of(config)
    spans = [layout.span(Writer.GATEWAY, session) for session in range(1, config.max_sessions + 1)]
    for session, span in enumerate(spans, start=1):
        assert span.offset % PAGE == 0
        assert span.size % PAGE == 0
        for name in ("owner", "report_head", "lane"):
            region = layout.regions[name]
            assert span.offset <= region.start(session)
            assert region.start(session) + region.size <= span.offset + span.size
    assert all(one.offset + one.size == other.offset for one, other in pairwise(spans))
    assert spans[-1].offset + spans[-1].size == layout.size


@given(config=_SMALL)
def test_described_bytes_add_up_to_the_file(config: ExchangeConfig) -> None:
    rows = describe(config)
    assert sum(row.bytes for row in rows) == layout_of(config).size
    assert all(row.bytes >= 0 for row in rows)


def test_largest_exchange_can_be_computed() -> None:
    sizes = dict.fromkeys(("lane_capacity", "report_capacity", "event_capacity", "log_capacity"), 1 << 26)
    layout = layout_of(_config(INSTRUMENTS_MAX, max_sessions=SESSIONS_MAX, depth=64, **sizes))
    assert layout.size > 1 << 42


def test_counts_leave_index_zero_free_where_sessions_index() -> None:
    config = _config(3, max_sessions=64, depth=5)
    regions = layout_of(config).regions
    assert [regions[name].count for name in ("lane_heads", "report_tails", "parked")] == [65, 65, 65]
    assert regions["accounts"].count == max_accounts(config) + 1 == 257
    assert regions["activity"].count * headers.LANES_PER_WORD > 64
    assert regions["snapshots"].count == 3 * 8
    assert regions["snapshot_levels"].count == 3 * 8 * 2 * 5
    assert regions["reports"].count == 64 * config.report_capacity
    assert regions["lane"].count == config.lane_capacity


def test_a_layout_with_a_shared_page_is_refused() -> None:
    layout = layout_of(_config())
    control = layout.regions["control"]
    broken = {**layout.regions, "control": replace(control, offset=control.offset - CACHE_LINE)}
    with pytest.raises(AssertionError):
        _check(Layout(broken, layout.size, layout.max_sessions))
