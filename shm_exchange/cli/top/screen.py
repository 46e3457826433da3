"""The screen: panels drawn five times a second, and keys. It decides where things stand and when they are drawn; what they say is `panels`."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Region
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Footer, Static

from shm_exchange.cli.top import market, panels
from shm_exchange.cli.top.alarms import Alarm, alarms
from shm_exchange.cli.top.arrangement import PANELS, Place, Places, arrange
from shm_exchange.cli.top.crowd import crowd
from shm_exchange.cli.top.figures import Figures, Pace
from shm_exchange.cli.top.panels import Shown
from shm_exchange.cli.top.probe import Probe
from shm_exchange.cli.top.reading import Reader, Reading
from shm_exchange.cli.top.rows import Participant, participants
from shm_exchange.domain.errors import ExchangeError

FRAME_SECONDS = 0.2
_RETURN_SECONDS = 1.0
_HELP = """\
commands/s …    of the last second, from counters the matcher keeps anyway
a command       the matcher's own time for one, of the last second; without
                traffic, of all its life; a sweep is a round of all lanes
matcher busy    share of its time in which it swept and matched
round trip      with --probe: request → report of a Python gateway
cpu, core       of one core; where it ran last; pin: it may run only there
lane used       commands that wait for the matcher, of those that find room
unread          reports that wait for their session; beyond half of their
                ring the session is not served
trades          of the side that came in; a busy exchange makes more than
                a screen can read, and then it says how many passed unseen

← → tab   another instrument       p   pause, and go on
↑ ↓       scroll the processes     a   trades of all, or of one
w         all warnings             q   quit"""


class Look(NamedTuple):
    """A reading and all that follows from it."""

    reading: Reading
    figures: Figures
    rows: list[Participant]
    alarms: list[Alarm]


class Panel(Widget):
    """Lines of text, of which only those that have changed are drawn anew: textual's own widgets lay out everything, and cost ten times as much."""

    def __init__(self, name: str) -> None:
        super().__init__(id=name)
        self._lines: list[Text] = []
        self._strips: list[Strip] = []

    def put(self, lines: list[Text]) -> None:
        """Show these lines."""
        before, self._lines = self._lines, lines
        base, changed = self.rich_style, []
        strips = self._strips[: len(lines)]
        for y, line in enumerate(lines):
            if y < len(strips) and line == before[y] and line.style == before[y].style:
                continue
            style = base + self.app.console.get_style(line.style)  # a line without spans is rendered without its style
            strips[y : y + 1] = [self._filtered(Strip(Segment.apply_style(line.render(self.app.console), style)))]
            changed.append(Region(0, y, self.size.width, 1))
        if len(lines) < len(before):
            changed = [Region(0, 0, *self.size)]
        self._strips = strips
        if changed:
            self.refresh(*changed)

    def _filtered(self, strip: Strip) -> Strip:
        """As the terminal wants it: without colours under NO_COLOR."""
        for kind in self.get_line_filters():
            strip = strip.apply_filter(kind, self.background_colors[1])
        return strip

    def render_lines(self, crop: Region) -> list[Strip]:
        """Finished lines: a panel has neither border nor padding, so nothing needs to be put around them."""
        blank = self._filtered(Strip.blank(self.size.width, self.rich_style))
        strips = (self._strips[y] if y < len(self._strips) else blank for y in range(crop.y, crop.bottom))
        return [strip.crop(crop.x, crop.right) for strip in strips]


class Sheet(ModalScreen[None]):
    """A text above the screen, until a key is pressed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,w,question_mark,enter,space", "dismiss", "Close")]

    def __init__(self, title: str, text: Callable[[int], Text]) -> None:
        super().__init__()
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        """A frame with the text in it."""
        with Vertical(id="sheet") as frame:
            frame.border_title, frame.border_subtitle = self._title, "esc closes"
            yield Static(self._text(self.app.size.width - 8), markup=False)


class TopScreen(App[None]):
    """An exchange, five times a second. Caller: closes reader and probe."""

    TITLE = "shm-exchange top"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("right,tab", "turn(1)", "Instrument", key_display="← →", priority=True),
        Binding("left,shift+tab", "turn(-1)", show=False, priority=True),
        Binding("down", "move(1)", "Scroll", key_display="↑ ↓"),
        Binding("up", "move(-1)", show=False),
        Binding("p", "pause", "Pause"),
        Binding("a", "all_trades", "All trades"),
        Binding("w", "warnings", "Warnings"),
        Binding("question_mark", "explain", "Help", key_display="?"),
    ]
    CSS = """
    Screen { background: #10161e; color: #dbe4ee; overflow: hidden; }
    Panel { position: absolute; }
    Footer { background: #253141; }
    Sheet { align: center middle; background: #10161e 60%; }
    #sheet { width: auto; max-width: 100%; height: auto; max-height: 100%; padding: 0 1; overflow-y: auto; }
    #sheet { border: round #6cb6ff; background: #18212c; }
    #sheet Static { width: auto; height: auto; }
    """

    def __init__(self, reader: Reader, probe: Probe | None = None) -> None:
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.animation_level = "none"
        self._reader, self._probe, self._pace = reader, probe, Pace()
        self._tried = 0.0
        self._places: Places = {}
        self._panels = {name: Panel(name) for name in PANELS}
        self.shown = Shown(reader.config.instruments[0].symbol)
        self.look = self._read()

    def compose(self) -> ComposeResult:
        """Panels, which stand where `arrange` says, and the keys."""
        yield from self._panels.values()
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to look, and end when asked: with SIGTERM in order, and at once when the terminal is gone, for then there is nothing to put back."""
        if threading.current_thread() is threading.main_thread():
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGTERM, lambda: self.exit(return_code=128 + signal.SIGTERM))
            loop.add_signal_handler(signal.SIGHUP, lambda: os._exit(128 + signal.SIGHUP))
        self.set_interval(FRAME_SECONDS, self.frame)
        self.draw()

    def on_resize(self) -> None:
        """Everything stands elsewhere."""
        self.draw()

    def frame(self) -> None:
        """Look, and draw; paused, do neither."""
        if self.shown.paused:
            return
        if self._probe is not None and self.look.reading.is_live:
            self._probe.measure()
        if not self.look.reading.is_current:
            self._follow()
        self.look = self._read()
        self.draw()

    def _read(self) -> Look:
        reading = self._reader.read(self.shown.symbol)
        figures = self._pace.add(reading)
        rows = participants(reading, figures)
        return Look(reading, figures, rows, alarms(reading, rows))

    def _follow(self) -> None:
        """The exchange has ended: look now and then whether there is a new one of that name."""
        now = time.monotonic()
        if now - self._tried < _RETURN_SECONDS:
            return
        self._tried = now
        with suppress(ExchangeError):
            reader = Reader(self._reader.config.name, timeout=0)
            self._reader.close()
            self._reader, self._pace = reader, Pace()
            symbols = [instrument.symbol for instrument in reader.config.instruments]
            self.shown = self.shown._replace(symbol=self.shown.symbol if self.shown.symbol in symbols else symbols[0], first_row=0)

    def draw(self) -> None:
        """Put every panel into its place, and its lines into it."""
        if not all(panel.is_mounted for panel in self._panels.values()):
            return
        look, (width, height) = self.look, self.size
        needed = len(panels.alarm_lines(look.alarms, width))
        places = arrange((width, height - 1), rows=len(look.rows), alarms=needed, books=len(look.reading.books), depth=look.reading.config.depth)
        for name, place in places.items():
            panel = self._panels[name]
            if self._places.get(name) != place:
                panel.display = bool(place.width and place.height)
                panel.styles.offset = (place.x, place.y)
                panel.styles.width, panel.styles.height = place.width, place.height
            if place.height:
                panel.put(self._lines(name, place))
        self._places = places

    def _lines(self, name: str, place: Place) -> list[Text]:
        look, shown, size = self.look, self.shown, (place.width, place.height)
        reading = look.reading
        match name:
            case "title":
                return [panels.title(reading, shown, place.width)]
            case "headline":
                trips = self._probe.figures() if self._probe is not None else None
                return panels.headline(reading, look.figures, trips, place.width)
            case "alarms":
                return panels.alarm_lines(look.alarms, *size)
            case "crowd":
                return crowd(look.rows, look.figures, size, shown.first_row)
            case "ladder":
                return market.ladder(reading, shown, size)
            case "tape":
                return market.tape(reading, shown, size)
            case "pace":
                return panels.pace(reading, look.figures, size)
            case _:
                return market.tops(reading, shown, size)

    def action_turn(self, step: int) -> None:
        """Another instrument."""
        symbols = [instrument.symbol for instrument in self.look.reading.config.instruments]
        index = (symbols.index(self.shown.symbol) + step) % len(symbols)
        self.shown = self.shown._replace(symbol=symbols[index])
        self._again()

    def action_move(self, step: int) -> None:
        """Scroll the participants."""
        last = max(0, len(self.look.rows) - (self._places["crowd"].height - 1))
        self.shown = self.shown._replace(first_row=min(max(0, self.shown.first_row + step), last))
        self.draw()

    def on_mouse_scroll_down(self) -> None:
        """As the key."""
        self.action_move(1)

    def on_mouse_scroll_up(self) -> None:
        """As the key."""
        self.action_move(-1)

    def action_pause(self) -> None:
        """Keep this picture, or go on."""
        self.shown = self.shown._replace(paused=not self.shown.paused)
        self._again()

    def action_all_trades(self) -> None:
        """Trades of all instruments, or of the chosen one."""
        self.shown = self.shown._replace(all_trades=not self.shown.all_trades)
        self._again()

    def _again(self) -> None:
        """Draw what was chosen, from a new look unless we are paused."""
        if not self.shown.paused:
            self.look = self._read()
        self.draw()

    def action_warnings(self) -> None:
        """All warnings, however many."""
        found = self.look.alarms
        self.push_screen(Sheet("warnings", lambda width: Text("\n").join(line for line in panels.alarm_lines(found, width))))

    def action_explain(self) -> None:
        """What the figures mean, and the keys."""
        self.push_screen(Sheet("shm-exchange top", lambda _: Text(_HELP)))
