"""An exchange in figures, all of them from its memory and from what the kernel says of its root file."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.domain.names import words_name
from shm_exchange.layout.digest import LAYOUT_VERSION, layout_digest
from shm_exchange.layout.headers import LANES_PER_WORD
from shm_exchange.shm import ATTACH_BYTE, KEEPER_BYTE, MATCHER_BYTE, SUPERVISOR_BYTE, Segment
from shm_exchange.shm.holders import Holder, holders
from shm_exchange.shm.root import root_path
from shm_exchange.supervisor.status import status_of
from tools.inspect_segment.reading import UNFINISHED, Rows, Slot, latest_of, newest, newest_log, slots_of, waiting_in
from tools.inspect_segment.words import Words, command_words, event_words

Figures = dict[str, Any]


class Wanted(NamedTuple):
    """How many records of each ring are decoded."""

    log: int
    events: int
    reports: int


def picture_of(segment: Segment, directory: str, wanted: Wanted) -> Figures:
    """Everything there is to see, fit for JSON. It is read one after the other: figures agree when the matcher is idle or dead."""
    found = [holder for holder in holders(root_path(segment.name, directory)) if holder.spans or holder.pid != os.getpid()]
    status = status_of(segment)
    lanes = [_lane(segment, dict(lane), found, wanted.reports) for lane in status["lanes"]]
    return {
        **status,
        "matcher_alive": segment.matcher_alive,
        "matcher_stopped_by_signal": any(holder.holds(MATCHER_BYTE) and holder.is_stopped for holder in found),
        "generation": segment.generation,
        "layout_version": LAYOUT_VERSION,
        "layout_digest": f"{layout_digest():#018x}",
        "config": _config(segment),
        "control": _words(segment.array("control")[0]),
        "matcher_words": _words(segment.array("matcher")[0]),
        "counters": _words(segment.array("counters")[0]),
        "matcher_parked": bool(segment.array("parked")[0].parked),
        "locks": _locks(segment, found),
        "readers": [_process(holder) for holder in found if not holder.spans],
        "lanes": lanes,
        "accounts": _accounts(segment),
        "log": _log(segment, wanted.log),
        "event_ring": _events(segment, wanted.events),
        "books": [_book(segment, index) for index in range(len(segment.config.instruments))],
    }


def _words(record: np.record) -> dict[str, int]:
    return {name: int(record[name]) for name in record.dtype.names or () if name != "_reserved"}


def _config(segment: Segment) -> Figures:
    instruments = [
        {"symbol": one.symbol, "tick_size": str(one.tick), "lot_size": str(one.lot), "min_ticks": one.min_ticks, "max_ticks": one.max_ticks}
        for one in segment.config.instruments
    ]
    return _words(segment.array("config")[0]) | {"instruments": instruments}


def _process(holder: Holder) -> Figures:
    return {"pid": holder.pid, "command": holder.command, "state": holder.state}


def _locks(segment: Segment, found: list[Holder]) -> list[Figures]:
    """Every byte that somebody holds, or that the memory says somebody should: the pid in memory beside the one the kernel tells."""
    claims = {MATCHER_BYTE: int(segment.array("matcher")[0].pid), SUPERVISOR_BYTE: int(segment.array("control")[0].supervisor_pid)}
    claims |= {KEEPER_BYTE: int(segment.array("keeper")[0].pid), ATTACH_BYTE: 0}
    claims |= {session: int(pid) for session, pid in enumerate(segment.array("owner")["pid"], 1)}
    rows = []
    for byte, pid in sorted(claims.items()):
        held = segment.is_held(byte)
        if held or pid:
            holding = [_process(holder) for holder in found if holder.holds(byte)]
            rows.append({"byte": byte, "role": _role(segment, byte), "held": held, "pid_in_memory": pid, "holders": holding})
    return rows


def _role(segment: Segment, byte: int) -> str:
    known = {MATCHER_BYTE: "matcher", SUPERVISOR_BYTE: "supervisor", KEEPER_BYTE: "keeper", ATTACH_BYTE: "attach mutex"}
    return known.get(byte) or f"session {_name(segment.array('owner', byte)[0].session)}"


def _name(raw: bytes) -> str:
    return bytes(raw).decode("ascii", "replace")


def _lane(segment: Segment, lane: Figures, found: list[Holder], reports: int) -> Figures:
    """What `status` tells of a lane, and all that stands in it."""
    number = lane["number"]
    owner, head = segment.array("owner", number)[0], int(segment.array("lane_heads")["head"][number])
    bits = int(segment.array("activity")[number // LANES_PER_WORD].bits)
    stopped = any(holder.holds(number) and holder.is_stopped for holder in found)
    tail = int(segment.array("report_tails")["tail"][number])
    figures = lane | {
        "state": "gone" if not lane["alive"] else "stopped" if stopped else "alive",
        "started_ns": int(owner.started_ns),
        "head": head,
        "waiting": waiting_in(segment.array("lane", number), head),
        "active": bool(bits >> number % LANES_PER_WORD & 1),
        "parked": bool(segment.array("parked")["parked"][number]),
        "report_head": int(segment.array("report_head", number)[0].head),
        "report_tail": tail,
    }
    instruments = segment.config.instruments
    return figures | {"last_reports": [event_words(row, instruments) for row in newest(_reports(segment, number), tail, reports)]}


def _reports(segment: Segment, number: int) -> Rows:
    capacity = segment.config.report_capacity
    ring: Rows = segment.array("reports")[(number - 1) * capacity : number * capacity]
    return ring


def _accounts(segment: Segment) -> list[Figures]:
    count = int(segment.array("matcher")[0].account_count)
    rows = segment.array("accounts")[1 : max(0, count) + 1]
    return [{"number": number, "account": words_name(row.low, row.high)} for number, row in enumerate(rows, 1)]


def _log(segment: Segment, count: int) -> Figures:
    part, instruments = newest_log(segment, count), segment.config.instruments
    records = [_logged(part.first + index, record, instruments) for index, record in enumerate(part.records)]
    tail = int(segment.array("matcher")[0].log_tail)
    return {"tail": tail, "capacity": segment.config.log_capacity, "oldest": max(0, tail - segment.config.log_capacity), "last": records}


def _logged(number: int, record: np.void, instruments: tuple[Instrument, ...]) -> Words:
    words = {"number": number, "lane": int(record["command_id"]) >> POSITION_BITS} | command_words(record, instruments)
    words["position"] = words["command_id"] & ((1 << POSITION_BITS) - 1)
    return words


def _events(segment: Segment, count: int) -> Figures:
    tail, ring = int(segment.array("matcher")[0].event_tail), segment.array("events")
    records = [event_words(row, segment.config.instruments) for row in newest(ring, tail, count)]
    return {"tail": tail, "capacity": len(ring), "oldest": max(1, tail - len(ring)), "last": records}


def _book(segment: Segment, index: int) -> Figures:
    """The published top of a book and all its version slots."""
    instrument, slots = segment.config.instruments[index], slots_of(segment, index)
    rows = [_slot(slot, instrument, alive=segment.matcher_alive) for slot in slots]
    newest_row = next((row for row, slot in zip(rows, slots, strict=True) if slot is latest_of(slots)), None)
    latest = segment.array("snapshot_latest")[index]
    return {
        "symbol": instrument.symbol,
        "version": int(latest.version),
        "book_hash": int(latest.book_hash),
        "latest": newest_row,
        "slots": rows,
    }


def _slot(slot: Slot, instrument: Instrument, *, alive: bool) -> Figures:
    head = slot.head
    last = [str(instrument.price(head["last_price_ticks"])), str(instrument.quantity(head["last_quantity"]))] if head["last_quantity"] else None
    return {
        "slot": slot.place,
        "stamp": slot.stamp,
        "version": slot.version,
        "state": "torn: the matcher died in it" if slot.state == UNFINISHED and not alive else slot.state,
        "event_number": int(head["event_number"]),
        "time_ns": int(head["time_ns"]),
        "last": last,
        "last_match_id": int(head["last_match_id"]),
        "bids": _levels(slot.bids, instrument),
        "asks": _levels(slot.asks, instrument),
    }


def _levels(rows: Rows, instrument: Instrument) -> list[list[str]]:
    return [[str(instrument.price(price)), str(instrument.quantity(quantity))] for price, quantity in rows.tolist()]
