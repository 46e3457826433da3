"""An engine that is nothing without its package, which is installed nowhere but in its throw-away environment. It does not tell its trades."""

from __future__ import annotations

import sys
from importlib import import_module

from tests.bench import fake_engines


class Adapter(fake_engines.Adapter):
    """Says where it ran."""

    def __init__(self):
        super().__init__()
        import_module("throw_away_engine").said_in(sys.prefix)

    def trades(self):
        return None
