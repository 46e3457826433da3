"""Whether a person types here: in a notebook, in IPython, at Python's own prompt.

There a cell is run again and again, and each time it means what it makes now. What it made before still stands under the same names, in the very
process that asks; so an exchange or a gateway of ours gives way to its successor. A script that asks twice for one name has a mistake, and is told.
"""

from __future__ import annotations

import sys


def is_interactive() -> bool:
    """Whether this process reads its program from a prompt or from cells."""
    return hasattr(sys, "ps1")
