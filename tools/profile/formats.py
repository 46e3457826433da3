"""A profile as a table, as collapsed stacks, and for speedscope.

Collapsed stacks: `root;…;leaf count` a line, what flame graph programs read. speedscope: https://www.speedscope.app, or its offline page; samples of
perf lie there in the order of time.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import NamedTuple

from tools.profile.sampling import Profile
from tools.profile.stacks import Frame, Stack, own_work

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"


class Row(NamedTuple):
    """One function in the table."""

    name: str
    kind: str
    own: float
    """Share of the samples that found it at work itself."""
    total: float
    """Share of the samples that found it, or anything it called."""


def table(profile: Profile) -> list[Row]:
    """Functions by their own share, largest first. A system call is one row, whatever Linux did in it."""
    own: Counter[Frame] = Counter()
    total: Counter[Frame] = Counter()
    for stack, samples in profile.stacks:
        worker = own_work(stack)
        own[worker] += samples
        for frame in {worker, *stack}:
            total[frame] += samples
    rows = (Row(*frame, own[frame] / profile.samples, total[frame] / profile.samples) for frame in own)
    return sorted(rows, key=lambda row: (-row.own, -row.total, row.name))


def merged(profile: Profile) -> dict[Stack, int]:
    """How often each stack was found, most frequent first."""
    counts: Counter[Stack] = Counter()
    for stack, samples in profile.stacks:
        counts[stack] += samples
    return dict(counts.most_common())


def collapsed(profile: Profile) -> str:
    """One line for each different stack."""
    lines = (f"{';'.join(frame.name.replace(';', ':') for frame in stack)} {count}\n" for stack, count in merged(profile).items())
    return "".join(lines)


def speedscope(profile: Profile, title: str) -> str:
    """The file that speedscope opens; weights are seconds of running time."""
    places: dict[str, int] = {}
    samples = [[places.setdefault(frame.name, len(places)) for frame in stack] for stack, _ in profile.stacks]
    weights = [count / profile.rate for _, count in profile.stacks]
    one = {"type": "sampled", "name": title, "unit": "seconds", "startValue": 0, "endValue": sum(weights), "samples": samples, "weights": weights}
    frames = [{"name": name} for name in places]
    document = {"$schema": _SCHEMA, "name": title, "exporter": "shm_exchange tools.profile", "activeProfileIndex": 0}
    return json.dumps(document | {"shared": {"frames": frames}, "profiles": [one]})
