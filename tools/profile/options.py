"""Checks of options, at the edge."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

Number = TypeVar("Number", int, float)
_MOST = 1_000_000_000


def positive(kind: type[Number], most: int = _MOST) -> Callable[[str], Number]:
    """A reader of numbers above 0 and up to `most`, for argparse."""

    def read(text: str) -> Number:
        wanted = f"a {'whole ' if kind is int else ''}number above 0 and at most {most:,}"
        try:
            number = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be {wanted}, not {text!r}") from None
        if not 0 < number <= most:
            raise argparse.ArgumentTypeError(f"must be {wanted}, not {text}")
        return number

    return read
