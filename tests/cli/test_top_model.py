"""What the screen says, from looks at exchanges that do not exist: rates, warnings, places, lines."""

from __future__ import annotations

import itertools
from collections import deque
from decimal import Decimal
from typing import Any

import pytest

from shm_exchange.cli.top import market, panels
from shm_exchange.cli.top.alarms import Severity, alarms
from shm_exchange.cli.top.arrangement import Place, arrange
from shm_exchange.cli.top.crowd import crowd
from shm_exchange.cli.top.figures import Figures, Pace
from shm_exchange.cli.top.panels import Shown
from shm_exchange.cli.top.probe import RoundTrips, round_trips
from shm_exchange.cli.top.processes import ProcessFigures
from shm_exchange.cli.top.reading import Reading
from shm_exchange.cli.top.rows import participants
from shm_exchange.cli.top.tape import Trade
from shm_exchange.cli.top.text import bar, chart, number
from shm_exchange.domain.enums import Side
from tests.cli.looks import CONFIG, MATCHER, SECOND, book, journal, lane, reading

MS = 1_000_000
STOPPED = ProcessFigures("stopped")


def after(*looks: Reading) -> Figures:
    pace = Pace()
    *_, last = [pace.add(look) for look in looks]
    return last


def said(look: Reading) -> list[str]:
    return [alarm.text for alarm in alarms(look, participants(look, after(look)))]


def test_one_look_knows_no_rate() -> None:
    figures = after(reading(lane(commands=50), commands=50, sweeps=10, sweep_ns=5000))
    assert (figures.commands, figures.busy, dict(figures.lanes)) == (None, None, {})
    assert (figures.command_ns, figures.sweep_ns, figures.batch, figures.is_recent) == (100, 500, 5, False)


def test_rates_are_of_the_last_second() -> None:
    looks = [reading(lane(commands=100 * step), at=step / 5, commands=100 * step, trades=10 * step, sweeps=step) for step in range(30)]
    figures = after(*looks)
    assert figures.seconds == pytest.approx(1)
    assert [figures.commands, figures.trades, figures.lanes[1]] == pytest.approx([500, 50, 500])
    assert figures.history == pytest.approx([500] * 5)


@pytest.mark.parametrize(
    ("counts", "busy"),
    [
        ({"sweeps": 9, "sweep_ns": 30 * MS, "idle_ns": 170 * MS}, 0.15),
        ({"sweeps": 9}, 1.0),  # a flood: the busy period has not ended
        ({"sweeps": 9, "idle_ns": 150 * MS}, 0.25),  # it began in between and still runs
        ({"sweeps": 9, "idle_ns": 9 * SECOND}, 0.0),  # the long idle period before it counts only as far as it lies in between
        ({"sweeps": 9, "sweep_ns": 9 * SECOND}, 1.0),  # likewise the end of a long busy one
        ({}, 0.0),
    ],
)
def test_time_that_is_not_accounted_for_belongs_to_the_period_that_runs(counts: dict[str, Any], busy: float) -> None:
    assert after(reading(), reading(at=100.2, **counts)).busy == pytest.approx(busy)


def test_the_time_of_a_command_is_recent_while_there_is_traffic() -> None:
    before = reading(commands=1000, sweeps=100, sweep_ns=SECOND)
    recent = after(before, reading(at=101, commands=3000, sweeps=200, sweep_ns=SECOND + 200_000))
    assert (recent.command_ns, recent.sweep_ns, recent.batch, recent.is_recent) == (100, 2000, 20, True)
    idle = after(before, reading(at=101, commands=1000, sweeps=100, sweep_ns=SECOND))
    assert (idle.command_ns, idle.is_recent) == (1_000_000, False)


def test_nothing_is_wrong_with_a_healthy_exchange() -> None:
    assert said(reading(lane())) == []
    kept = reading(lane(), journal=journal())
    assert said(kept) == []
    assert [row.name for row in participants(kept, after(kept))] == ["supervisor", "matcher", "keeper", "gateway-1"]


@pytest.mark.parametrize(
    ("look", "words"),
    [
        (reading(matcher="dead", heartbeat_age_seconds=75.0), "the matcher (process 11) is dead: this is its last true state, left 1 min 15 s ago"),
        (reading(matcher="dead", supervisor_alive=False), "shm-exchange clean demo"),
        (reading(matcher="dead"), "shm-exchange stop demo"),
        (reading(matcher="stopped"), "ended as it was told to"),
        (reading(is_current=False), "has ended and its memory was removed"),
        (reading(processes={MATCHER: STOPPED}), "kill -CONT 11"),
        (reading(heartbeat_age_seconds=2.5), "has not looked at its lanes for 2.5 s"),
        (reading(supervisor_alive=False), "there is no supervisor"),
        (
            reading(journal=journal(keeper="failed", error="No space left on device")),
            "the keeper (process 12) is failed: No space left on device; the log ring fills, then the lanes",
        ),
        (reading(journal=journal(admission="reducing")), "the disk of /var/log/demo is nearly full: only cancels and reduces are admitted"),
        (reading(journal=journal(diverged=70)), "the matcher's state is not what its log leads to, since number 70 at the latest: stop it"),
        (reading(journal=journal(admission="none")), "the disk of /var/log/demo is full: nothing is admitted any more"),
        (reading(journal=journal(behind=60_000)), "the keeper is 60,000 commands behind, of a ring of 65,536: lanes wait"),
        (reading(lane(depth=60)), "the lane of gateway-1 is 94% full, 60 commands wait: the matcher does not keep up"),
        (
            reading(lane(depth=64, reports_waiting=100)),
            "the lane of gateway-1 is full, 64 commands wait: its reports are unread, so it is not served",
        ),
        (reading(lane(reports_waiting=65)), "gateway-1 leaves 65 of 128 reports unread"),
        (reading(lane(reports_skipped=3)), "reports of gateway-1 found no room, skipped: 3;"),
        (reading(lane(), processes={20: STOPPED}), "gateway-1 (process 20) is stopped: it loses nothing"),
        (reading(lane(alive=False, open_orders=5)), "gateway-1 is gone and left 5 orders open"),
        (reading(open_orders=950), "the order pool is 95% full"),
        (reading(pages=CONFIG.max_pages), "the price ladder is 100% full"),
        (reading(busy=frozenset({"ACME"})), "the book of ACME is from an earlier look"),
        (reading(lane(), lane(2, 21), cores=2), "a matcher and 2 processes with sessions share 2 cores: nobody spins"),
        (reading(lane(pid=1), lane(2, 21), cores=2), "this screen's probe is one of them"),
        (
            reading(lane(), processes={MATCHER: ProcessFigures("runs", 1.0, 3, pinned=True), 20: ProcessFigures("runs", 1.0, 3, pinned=True)}),
            "gateway-1 is pinned to core 3, which is the matcher's",
        ),
    ],
)
def test_what_is_wrong_is_said_in_words(look: Reading, words: str) -> None:
    assert any(words in text for text in said(look)), said(look)


def test_what_is_unread_is_no_trouble_below_the_limit_nor_when_the_session_is_gone() -> None:
    assert said(reading(lane(reports_waiting=64))) == []
    assert said(reading(lane(reports_waiting=128, alive=False))) == []


def test_the_worst_comes_first() -> None:
    found = alarms(look := reading(busy=frozenset({"ACME"}), supervisor_alive=False, matcher="dead"), participants(look, after(look)))
    assert [alarm.severity for alarm in found] == sorted((alarm.severity for alarm in found), reverse=True)
    assert {Severity.ERROR, Severity.NOTE} <= {alarm.severity for alarm in found}


def test_a_pid_without_a_lock_is_gone_whoever_has_it_now() -> None:
    look = reading(lane(alive=False), matcher="dead", processes={20: ProcessFigures("runs"), MATCHER: ProcessFigures("runs")})
    rows = participants(look, after(look))
    assert [(row.name, row.process.state) for row in rows if row.role != "supervisor"] == [("matcher", "gone"), ("gateway-1", "gone")]


@pytest.mark.parametrize("size", [(80, 23), (60, 15), (40, 10), (100, 29), (120, 30), (140, 49), (240, 80)])
@pytest.mark.parametrize(("rows", "warnings", "books"), [(2, 1, 1), (7, 2, 3), (60, 30, 200)])
def test_panels_share_the_terminal_without_touching(size: tuple[int, int], rows: int, warnings: int, books: int) -> None:
    places = [place for place in arrange(size, rows=rows, alarms=warnings, books=books, depth=10).values() if place.width and place.height]
    assert all(place.x >= 0 and place.y >= 0 and place.x + place.width <= size[0] and place.y + place.height <= size[1] for place in places)
    assert not [(one, other) for one, other in itertools.combinations(places, 2) if _meet(one, other)]


def _meet(one: Place, other: Place) -> bool:
    return one.x < other.x + other.width and other.x < one.x + one.width and one.y < other.y + other.height and other.y < one.y + one.height


@pytest.mark.parametrize("width", [40, 60, 80, 140])
def test_lines_are_as_wide_as_asked(width: int) -> None:
    look = reading(*(lane(step, 20 + step, depth=step * 9) for step in range(1, 7)), tape=[trade(step) for step in range(4)])
    figures, shown = after(look, look._replace(now_ns=look.now_ns + SECOND)), Shown("ACME", paused=True)
    rows = participants(look, figures)
    lines = [
        panels.title(look, shown, width),
        *panels.headline(look, figures, RoundTrips(300, 4100, 88_000, 1_200_000), width),
        *panels.alarm_lines(alarms(look, rows), width),
        *market.ladder(look, shown, (width, 9)),
        *market.tape(look, shown, (width, 9)),
        *market.tops(look, shown, (width, 9)),
    ]
    assert {line.cell_len for line in lines} == {width}
    assert {line.cell_len for line in crowd(rows, figures, (width, 5))} == {width}


def trade(step: int) -> Trade:
    return Trade(step, 1_700_000_000 * SECOND, "ACME", Side.BUY if step % 2 else Side.SELL, Decimal("99.55"), Decimal(1200))


def test_eighty_columns_hold_every_important_word() -> None:
    look = reading(lane(commands=123_456, open_orders=754, reports_waiting=17), tape=[trade(1)])
    shown, figures = Shown("ACME"), after(look)
    text = "\n".join(line.plain for line in [*panels.headline(look, figures, None, 80), *crowd(participants(look, figures), figures, (80, 9))])
    for word in (
        "commands/s",
        "trades/s",
        "rejects/s",
        "open",
        "matcher busy",
        "a command",
        "pid",
        "cpu",
        "core",
        "lane used",
        "unread",
        "gateway-1",
    ):
        assert word in text
    assert "…" not in text
    ladder, tape = (panel(look, shown, size) for panel, size in ((market.ladder, (45, 9)), (market.tape, (34, 9))))
    assert [line.plain.split() for line in ladder[1:2]] == [["▐██", "100", "99.50", "│", "99.60", "50", "█▌"]]
    assert tape[1].plain.split()[1:] == ["buy", "99.55", "1,200"]


def test_a_list_that_is_too_long_says_so_and_scrolls() -> None:
    look = reading(*(lane(step, 20 + step) for step in range(1, 21)))
    figures = after(look)
    rows = participants(look, figures)
    top, middle, end = ([line.plain for line in crowd(rows, figures, (80, 8), first)] for first in (0, 6, 99))
    assert "gateway-1" in top[3]
    assert "16 more" in top[-1]
    assert "gateway-5" in middle[1]
    assert "more above" in end[-1]


def test_warnings_that_find_no_room_are_counted() -> None:
    look = reading(*(lane(step, 20 + step, reports_skipped=1) for step in range(1, 9)))
    found = alarms(look, participants(look, after(look)))
    lines = [line.plain.rstrip() for line in panels.alarm_lines(found, 80, 3)]
    assert len(lines) == 3
    assert lines[-1] == " … and 7 more: w shows all"
    assert len(panels.alarm_lines(found, 80)) == 16


def test_a_book_that_was_not_read_is_not_called_empty() -> None:
    shown = Shown("GLOBEX")
    assert "not read yet" in market.ladder(reading(), shown, (45, 9))[1].plain
    assert "overwritten" in market.ladder(reading(busy=frozenset({"GLOBEX"})), shown, (45, 9))[1].plain
    assert "empty" in market.ladder(reading(books={"GLOBEX": book(0)}), shown, (45, 9))[1].plain


@pytest.mark.parametrize(("value", "text"), [(None, "-"), (0, "0"), (9_999_999, "9,999,999"), (12_345_678, "12.3 M"), (2e10, "20.0 G")])
def test_numbers(value: Any, text: str) -> None:
    assert number(value) == text


def test_bars_show_what_is_little_and_never_more_than_all() -> None:
    assert [bar(share, 10, "").plain.count("━") for share in (0, 0.001, 0.5, 1, 1.7)] == [0, 1, 5, 10, 10]
    assert [line.plain for line in chart([0, 1, 8, 16], 5, 2)] == ["    █", "  ▁██"]


def test_a_p99_needs_a_hundred_round_trips() -> None:
    assert round_trips(deque()) == RoundTrips(0, 0, None, 0)
    assert round_trips(deque(range(1, 100))) == RoundTrips(99, 50, None, 99)
    assert round_trips(deque(range(1, 201))) == RoundTrips(200, 100, 198, 200)
