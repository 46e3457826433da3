"""A flame graph as one self-contained SVG: who was running, and on whose behalf.

Every box is a function, as wide as the share of samples that found it; below it stands who called it, above it whom it called. The order from left to
right is the alphabet's and means nothing. Whoever points at a box reads its whole name and its shares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from xml.sax.saxutils import escape

from tools.profile.stacks import COMPILED, NATIVE, PYTHON, SYSTEM, Frame, Stack

_WIDTH, _MARGIN, _ROW, _HEAD, _FOOT = 1200, 12, 20, 66, 12
_LETTER = 6.65
"""Width of one letter of the text in boxes."""
_THINNEST = 0.3
"""Boxes below this width cannot be seen, and are left out."""
COLORS = {COMPILED: "#f6a04d", PYTHON: "#8fbbe8", NATIVE: "#cfd8a6", SYSTEM: "#d9b3c4"}
"""By kind of frame."""
_MEANING = {COMPILED: "compiled by numba", PYTHON: "Python", NATIVE: "interpreter and libraries", SYSTEM: "Linux"}
_ALL = Frame("all", "")
_STYLE = """text{font:11px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#222}
.title{font:600 15px system-ui,'Segoe UI','DejaVu Sans',sans-serif}.small{font:12px system-ui,'Segoe UI','DejaVu Sans',sans-serif;fill:#555}
g.box text{pointer-events:none}g.box rect{stroke:#fff;stroke-width:.6}g.box:hover rect{stroke:#222;stroke-width:1}"""


class Box(NamedTuple):
    """A rectangle of the picture; `left` and `samples` in samples, `depth` 0 at the bottom."""

    frame: Frame
    depth: int
    left: int
    samples: int
    own: int


class _Node:
    """A function under its callers."""

    def __init__(self) -> None:
        self.samples = 0
        self.own = 0
        self.called: dict[Frame, _Node] = {}


def boxes(stacks: Mapping[Stack, int]) -> list[Box]:
    """All boxes: the root is everything, each row lies on its callers."""
    root = _Node()
    for stack, count in stacks.items():
        node = root
        node.samples += count
        for frame in stack:
            node = node.called.setdefault(frame, _Node())
            node.samples += count
        node.own += count
    return list(_laid_out(_ALL, root, 0, 0))


def _laid_out(frame: Frame, node: _Node, depth: int, left: int) -> Iterator[Box]:
    yield Box(frame, depth, left, node.samples, node.own)
    for below, called in sorted(node.called.items()):
        yield from _laid_out(below, called, depth + 1, left)
        left += called.samples


def flamegraph(stacks: Mapping[Stack, int], title: str, subtitle: str) -> str:
    """The whole SVG."""
    scale = (_WIDTH - 2 * _MARGIN) / sum(stacks.values())
    shown = [box for box in boxes(stacks) if box.samples * scale >= _THINNEST]
    height = _HEAD + _FOOT + _ROW * (1 + max(box.depth for box in shown))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text class="title" x="{_MARGIN}" y="22">{escape(title)}</text>',
        f'<text class="small" x="{_MARGIN}" y="40">{escape(subtitle)}</text>',
        *_legend({box.frame.kind for box in shown}),
        *(_drawn(box, scale, height, shown[0].samples) for box in shown),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _legend(kinds: set[str]) -> Iterator[str]:
    left = float(_MARGIN)
    for kind, color in COLORS.items():
        if kind in kinds:
            yield f'<rect x="{left:.0f}" y="48" width="11" height="11" fill="{color}"/>'
            yield f'<text class="small" x="{left + 15:.0f}" y="58">{_MEANING[kind]}</text>'
            left += 38 + 6.6 * len(_MEANING[kind])


def _drawn(box: Box, scale: float, height: int, everything: int) -> str:
    left, width = _MARGIN + box.left * scale, box.samples * scale
    top = height - _FOOT - _ROW * (box.depth + 1)
    color = COLORS.get(box.frame.kind, "#e4e4e4")
    kind = f" ({_MEANING[box.frame.kind]})" if box.frame.kind else ""
    told = f"{box.frame.name}{kind}: {box.samples / everything:.1%} of {everything:,} samples, {box.own / everything:.1%} itself"
    letters = int((width - 6) / _LETTER)
    text = ""
    if letters >= 3:
        name = box.frame.name if len(box.frame.name) <= letters else box.frame.name[: letters - 1] + "…"
        text = f'<text x="{left + 4:.1f}" y="{top + 14}">{escape(name)}</text>'
    rectangle = f'<rect x="{left:.2f}" y="{top}" width="{width:.2f}" height="{_ROW - 1}" rx="1.5" fill="{color}"/>'
    return f'<g class="box"><title>{escape(told)}</title>{rectangle}{text}</g>'
