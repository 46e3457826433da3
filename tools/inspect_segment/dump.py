"""The memory itself: where each region lies, and its records as fields or as bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.names import nearest
from shm_exchange.layout.regions import Region
from shm_exchange.shm import Segment
from tools.inspect_segment.reading import Rows

_BYTES_A_LINE = 16


def map_of(segment: Segment) -> list[dict[str, Any]]:
    """All regions in the order of the file. A gateway's come again for every session, `stride` bytes further each time."""
    return [
        {
            "region": region.name,
            "offset": region.offset,
            "bytes": region.size,
            "count": region.count,
            "record_bytes": region.dtype.itemsize,
            "writer": region.writer.value,
            "sessions": region.sessions,
            "stride": region.stride,
        }
        for region in segment.layout.regions.values()
    ]


def dump_of(segment: Segment, name: str, session: int | None, index: int, count: int) -> dict[str, Any]:
    """Records of one region from `index` on: where they lie, their fields, their bytes. Raises ConfigError for what is not there."""
    region = _region(segment, name)
    rows, start, index = _rows(segment, region, session, index)
    if not 0 <= index < len(rows):
        raise ConfigError(f"region {name} has records 0 to {len(rows) - 1} here, not {index}")
    chosen = rows[index : index + count].copy()
    size = region.dtype.itemsize
    records = [
        {"index": index + number, "offset": start + (index + number) * size, "fields": fields_of(row), "hex": row.tobytes().hex()}
        for number, row in enumerate(chosen.view(np.ndarray))
    ]
    return {"region": name, "session": session, "record_bytes": size, "count": len(rows), "writer": region.writer.value, "records": records}


def fields_of(row: np.void) -> dict[str, Any]:
    """The fields of a record: numbers, and names as text."""
    values = {name: row[name] for name in row.dtype.names or () if name != "_reserved"}
    return {name: bytes(value).decode("ascii", "replace") if isinstance(value, bytes) else int(value) for name, value in values.items()}


def hex_lines(offset: int, text: str) -> Iterator[str]:
    """Bytes as lines of sixteen, each with its offset in the file."""
    raw = bytes.fromhex(text)
    for first in range(0, len(raw), _BYTES_A_LINE):
        line = raw[first : first + _BYTES_A_LINE]
        halves = "  ".join(line[half : half + 8].hex(" ") for half in (0, 8))
        yield f"{offset + first:08x}  {halves:<48}  |{''.join(chr(byte) if 32 <= byte < 127 else '.' for byte in line)}|"


def _region(segment: Segment, name: str) -> Region:
    regions = segment.layout.regions
    if name not in regions:
        raise ConfigError(f"there is no region {name!r}{nearest(name, regions)}; there are {', '.join(regions)}")
    return regions[name]


def _rows(segment: Segment, region: Region, session: int | None, index: int) -> tuple[Rows, int, int]:
    """The records that `index` counts in, the offset of the first of them, and the index from there.

    Rings of reports lie behind each other in one region; with a session the index counts from the beginning of its ring. Small arrays that have a
    record for each session are indexed by it.
    """
    sessions = segment.config.max_sessions
    if session is not None and not 1 <= session <= sessions:
        raise ConfigError(f"exchange {segment.name!r} has sessions 1 to {sessions}, not {session}")
    if region.sessions:
        if session is None:
            raise ConfigError(f"every session has a region {region.name}; say which with --session 1 … {sessions}")
        return segment.array(region.name, session), region.start(session), index
    rows = segment.array(region.name)
    if session is None:
        return rows, region.offset, index
    if region.name == "reports":
        capacity = segment.config.report_capacity
        first = (session - 1) * capacity
        return rows[first : first + capacity], region.offset + first * region.dtype.itemsize, index
    if region.count == sessions + 1:
        return rows, region.offset, session
    raise ConfigError(f"region {region.name} belongs to no session; leave --session out")
