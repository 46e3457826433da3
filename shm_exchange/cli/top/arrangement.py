"""Where the panels stand on a terminal of a given size. Pure.

small     title, headline, warnings                 large     title, headline, warnings
          processes over the whole width                      processes │ ladder
          ladder │ trades                                     books     │ trades
                                                          pace      │
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from shm_exchange.cli.top.panels import HEADLINE_HEIGHT

PANELS = ("title", "headline", "alarms", "crowd", "ladder", "tape", "tops", "pace")
_LARGE = (120, 30)
_AIR_FROM = 30
"""Lines from which a blank one parts the panels."""
_TAPE_WIDTH, _TAPE_FROM = 34, 76
_CHART_LINES = (3, 12)
"""A chart of fewer says nothing, one of more no more."""
_RIGHT_WIDTHS = (46, 68)
_CROWD_AT_LEAST = 4


class Place(NamedTuple):
    """A rectangle in characters; an empty one is not shown."""

    x: int
    y: int
    width: int
    height: int


Places: TypeAlias = dict[str, Place]
_NOWHERE = Place(0, 0, 0, 0)


def arrange(size: tuple[int, int], *, rows: int, alarms: int, books: int, depth: int) -> Places:
    """Every panel's place. rows: participants; alarms: lines that warnings need; depth: levels of a ladder."""
    width, height = size
    air = int(height >= _AIR_FROM)
    first = 1 + HEADLINE_HEIGHT + air
    warnings = min(alarms, max(1, height // 6))
    top = first + warnings + air
    body = max(0, height - top)
    places = {"title": Place(0, 0, width, 1), "headline": Place(0, 1, width, HEADLINE_HEIGHT), "alarms": Place(0, first, width, warnings)}
    is_large = width >= _LARGE[0] and height >= _LARGE[1]
    return places | (_large(width, top, body, rows, books, depth) if is_large else _small(width, top, body, rows, depth, air))


def _small(width: int, top: int, body: int, rows: int, depth: int, air: int) -> Places:
    crowd = min(1 + rows, max(_CROWD_AT_LEAST, body // 2, body - air - 1 - depth), body)
    market = max(0, body - crowd - air)
    tape = _TAPE_WIDTH if width >= _TAPE_FROM else width * 2 // 5
    y = top + crowd + air
    return {
        "crowd": Place(0, top, width, crowd),
        "ladder": Place(0, y, width - tape - 1, market),
        "tape": Place(width - tape, y, tape, market),
        "tops": _NOWHERE,
        "pace": _NOWHERE,
    }


def _large(width: int, top: int, body: int, rows: int, books: int, depth: int) -> Places:
    right = max(_RIGHT_WIDTHS[0], min(_RIGHT_WIDTHS[1], width * 2 // 5))
    left = width - right - 1
    tops = min(1 + books, body // 3)
    crowd = min(1 + rows, body - tops - 1)
    ladder = min(1 + depth, body * 3 // 5)
    below = crowd + 1 + tops + 1
    chart = min(body - below, 2 + _CHART_LINES[1]) if body - below >= 2 + _CHART_LINES[0] else 0
    return {
        "crowd": Place(0, top, left, crowd),
        "tops": Place(0, top + crowd + 1, left, tops),
        "pace": Place(0, top + below, left, chart) if chart else _NOWHERE,
        "ladder": Place(left + 1, top, right, ladder),
        "tape": Place(left + 1, top + ladder + 1, right, max(0, body - ladder - 1)),
    }
