"""Those outside: gateways on the product's sessions and rings, a reader of events and snapshots, and a supervisor that takes leave of the dead."""

from __future__ import annotations

import random

import numpy as np

from shm_exchange.client.sessions import take_session
from shm_exchange.domain.enums import CommandKind, Flag, OrderType, SelfTradePrevention, TimeInForce
from shm_exchange.domain.errors import LaneFull, NoFreeSession, SessionInUse
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.domain.names import name_words
from shm_exchange.journal.deriving import reports_of
from shm_exchange.layout.records import COMMAND, COMMAND_WORDS, EVENT, LOGON, REPORT
from shm_exchange.ring.broadcast import FEED, take_events
from shm_exchange.ring.lane import new_producer, recover_position, submit_many
from shm_exchange.ring.reports import READER, acknowledge, take_reports
from shm_exchange.shm.segment import Segment
from shm_exchange.supervisor.departures import Departures
from tests.sim.stage import let_go
from tests.sim.truth import Truth

_WORDS = ("order_id", "client_order_id", "price_ticks", "quantity", "kinds", "terms")
_KINDS = (CommandKind.ENTER,) * 6 + (CommandKind.CANCEL, CommandKind.CANCEL, CommandKind.REDUCE, CommandKind.REPLACE, CommandKind.MASS_CANCEL)
_MODES = tuple(SelfTradePrevention)


def logon(name: str, account: str, *, cancels: bool) -> np.ndarray:
    """A LOGON as a COMMAND."""
    command = np.zeros(1, LOGON)
    command["kind"], command["modifiers"] = CommandKind.LOGON, Flag.CANCEL_ON_DISCONNECT if cancels else 0
    command["session_low"], command["session_high"] = name_words(name)
    command["account_low"], command["account_high"] = name_words(account)
    return command.view(COMMAND)


def some_commands(draw: random.Random, session: int, position: int, count: int) -> np.ndarray:
    """Orders around one price, commands about the session's last ones, and now and then any bytes at all."""
    commands = np.zeros(count, COMMAND)
    for command in commands:
        kind = draw.choice(_KINDS)
        command["kind"], command["side"], command["instrument"] = kind, draw.randint(1, 2), draw.randint(0, 1)
        command["quantity"], command["client_order_id"] = draw.randint(1, 9), draw.randint(0, 30)
        command["price_ticks"], command["self_trade"] = draw.randint(97, 103), draw.choice(_MODES)
        if kind == CommandKind.ENTER:
            command["order_type"], command["time_in_force"] = (
                OrderType.LIMIT,
                draw.choice((TimeInForce.GTC,) * 4 + (TimeInForce.IOC, TimeInForce.FOK)),
            )
        elif kind == CommandKind.MASS_CANCEL:
            command["side"] = draw.randint(0, 2)
        elif draw.random() < 0.7:
            command["order_id"] = session << POSITION_BITS | max(1, position - draw.randint(1, 40))
    if draw.random() < 0.1:
        commands[-1:] = np.frombuffer(draw.randbytes(COMMAND.itemsize), COMMAND)
        commands["kind"][-1] = draw.randrange(CommandKind.DISCONNECT)
    return commands


class Gateway:
    """The processes of one session, one after the other. The truth hears of every command before anybody could see it."""

    def __init__(self, segment: Segment, truth: Truth, name: str) -> None:
        self._segment, self._truth, self.name = segment, truth, name
        self._lanes = Lanes(segment, truth)
        self.number = 0
        """The lane it holds; 0 while nobody lives."""
        self._out = np.zeros(64, REPORT)
        self._most = len(truth.outputs.reports) // segment.config.max_sessions

    @property
    def lives(self) -> bool:
        """Whether there is a process."""
        return self.number > 0

    def step(self, draw: random.Random) -> None:
        """Start, read, or submit."""
        if not self.lives:
            if draw.random() < 0.4:
                self.start(draw)
        elif draw.random() < 0.45:
            self.read(draw.choice((1, 8, 64)))
        elif draw.random() < 0.1:
            self.begin_slot(some_commands(draw, self.number, int(self._truth.begun[self.number]), 1))
        elif draw.random() < 0.02:
            self.log_off()
        else:
            self.submit(some_commands(draw, self.number, int(self._truth.begun[self.number]), draw.choice((1, 2, 4, 8, 30))))

    def start(self, draw: random.Random) -> None:
        """Take a session, if one is to be had, and log on."""
        try:
            number, self._own = take_session(self._segment, self.name, "someone")
        except (SessionInUse, NoFreeSession, LaneFull):
            self._lanes.note_departures()
            return
        self._lanes.note_departures()
        assert not self._truth.due[number], f"session {number} has a new owner, and nobody has said that the last one died"
        self.number = number
        heads = self._segment.array("lane_heads")[number : number + 1]
        self._producer = new_producer(self._own["lane"], heads, self._own["activity"], self._own["parked"][:1], number)
        capacity = self._segment.config.report_capacity
        self._reports = self._segment.array("reports").view(np.ndarray)[(number - 1) * capacity : number * capacity]
        self._tail = self._segment.array("report_tails").view(np.ndarray)[number : number + 1]
        self._head = self._own["report_head"].view(np.ndarray)
        self._reader = np.zeros(1, READER)
        self._reader["next_report"] = self._head["head"]
        self._expected = int(self._head["head"][0])
        self.submit(logon(self.name, f"account-{draw.randint(1, 2)}", cancels=draw.random() < 0.5))

    def submit(self, commands: np.ndarray) -> None:
        """As many as the lane has room for."""
        words = commands.view(COMMAND_WORDS)
        count = int(submit_many(self._producer.ctypes.data, words, 0))
        self._truth.note(self.number, commands[:count])

    def begin_slot(self, command: np.ndarray) -> None:
        """Write the payload of a command and stop in front of its number: nobody may take it for submitted."""
        position = int(self._producer["position"][0])
        if position - int(self._segment.array("lane_heads")[self.number].head) < self._segment.config.lane_capacity:
            slots = self._own["lane"].view(np.ndarray).view(COMMAND_WORDS)
            for word in _WORDS:
                slots[word][position & (len(slots) - 1)] = command.view(COMMAND_WORDS)[word][0]

    def read(self, count: int) -> None:
        """Take reports; those of the time before are delivered."""
        acknowledge(self._reader, self._head)
        taken = int(take_reports(self._reader, self._reports, self._tail, self._out[:count]))
        first = (self.number - 1) * self._most + self._expected
        for row, right in zip(self._out[:taken], self._truth.outputs.reports[first : first + taken], strict=True):
            assert row["number"] == self._expected, f"session {self.number} got report {row['number']} and not {self._expected}"
            right["number"] = row["number"]
            assert row == right, f"session {self.number} got {row} as report {self._expected}, and not {right}"
            self._expected += 1
        lost = self._reader[0]
        if lost["lost_first"]:
            assert lost["lost_first"] == self._expected <= lost["lost_last"], f"session {self.number} lost {lost} and not {self._expected}"
            self._derive(int(lost["lost_first"]), int(lost["lost_last"]))
            self._expected = int(lost["lost_last"]) + 1

    def _derive(self, first: int, last: int) -> None:
        """What the ring had no room for, as an inbox gets it, once files hold the log."""
        directory, archived = self._segment.journal.directory, int(self._segment.array("keeper")[0].archived)
        if not directory or archived < int(self._segment.array("matcher")[0].log_tail):
            return
        derived = reports_of(directory, archived, self.number, first, last)
        right = self._truth.outputs.reports[(self.number - 1) * self._most + first :][: last - first + 1].copy()
        right["number"] = range(first, last + 1)
        assert derived.tobytes() == right.tobytes(), f"reports {first} to {last} of session {self.number} were derived wrongly"

    def log_off(self) -> None:
        """Say so, and end, as `Endpoint.close` does."""
        self._head["abandoned"] = 1
        command = np.zeros(1, COMMAND)
        command["kind"] = CommandKind.LOGOFF
        self.submit(command)
        self.die()

    def die(self) -> None:
        """The kernel gives the session's byte to whoever asks next."""
        last = self._truth.last_submitted(self.number)
        gone = len(last) and last["kind"][0] in (CommandKind.LOGOFF, CommandKind.DISCONNECT)
        self._truth.due[self.number] = 0 if gone or not len(last) else self._truth.begun[self.number]
        let_go(self._segment, self.number)
        self.number = 0


class Lanes:
    """What lies in all lanes, as a neutral looker sees it."""

    def __init__(self, segment: Segment, truth: Truth) -> None:
        sessions = range(segment.config.max_sessions + 1)
        heads = segment.array("lane_heads").view(np.ndarray)
        self._truth = truth
        self._lanes = [(number, segment.array("lane", number).view(np.ndarray), heads[number : number + 1]) for number in sessions[1:]]

    def note_departures(self) -> None:
        """Find what others than gateways have put there: a DISCONNECT where one is due, and nothing else."""
        truth = self._truth
        for session, lane, head in self._lanes:
            begun, due = int(truth.begun[session]), int(truth.due[session])
            behind = int(recover_position(lane, head))
            if behind == begun:
                continue
            assert behind == begun + 1 == due + 1, f"somebody put a command into lane {session} at {begun}, due was one at {due}"
            slot = lane[begun & (len(lane) - 1)].copy()
            assert slot["kind"] == CommandKind.DISCONNECT, f"lane {session} goes on with a command of kind {slot['kind']} behind one that died"
            truth.note(session, slot.reshape(1))
            truth.due[session] = 0


class Reader:
    """Reads all events, and is lapped when it is slow."""

    def __init__(self, segment: Segment, truth: Truth) -> None:
        self._truth = truth
        self._events, self._words = segment.array("events").view(np.ndarray), segment.array("matcher").view(np.ndarray)
        self._feed, self._out = np.zeros(1, FEED), np.zeros(64, EVENT)

    def step(self, draw: random.Random) -> None:
        """Take some, each with the number that follows."""
        if not self._words["lives"][0]:
            return
        own = self._feed[0]
        own["next_event"] = expected = own["next_event"] or self._words["first_event"][0]
        count = int(take_events(self._feed, self._events, self._words, self._out[: draw.choice((1, 16, 64))]))
        for row in self._out[:count]:
            right = self._truth.outputs.events[expected : expected + 1]
            right["number"] = expected
            assert row == right[0], f"a reader got {row} as event {expected}, and not {right[0]}"
            expected += 1
        if own["lost_first"]:
            assert own["lost_first"] == expected, f"a reader lost {own} and not {expected}"
            written = int(self._truth.marks.events[self._truth.sequence])
            assert expected < written - len(self._events), f"a reader was told that event {expected} is lost, which nobody had overwritten"


class Supervisor:
    """Looks after sessions whose processes died."""

    def __init__(self, segment: Segment, truth: Truth) -> None:
        self._lanes = Lanes(segment, truth)
        self._departures = Departures(segment)

    def step(self) -> None:
        """One look at all sessions."""
        self._departures.attend()
        self._lanes.note_departures()

    def close(self) -> None:
        """End it."""
        self._departures.close()
