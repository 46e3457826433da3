"""An engine that counts a trade too many, and prints what it should not."""

from __future__ import annotations

from tests.bench import fake_engines


class Adapter(fake_engines.Adapter):
    """Talkative."""

    def trades(self):
        print("not JSON")
        return super().trades() + 1
