"""What a feed did not bring: counted from the sequences of its ticks where it has them, and from its interruptions where it has none."""

from __future__ import annotations

from shm_exchange.pipeline.tick import Tick


class Gaps:
    """Follows the ticks of one feed, as they come.

    A jump counts as one gap, an interruption as one as well, whatever the sequences say behind it; `missed` grows by what they skip in either case.
    A number that goes back behind an interruption is a feed that began anew, any other a tick that came late or twice: nothing is missing.
    """

    def __init__(self) -> None:
        self.gaps = self.missed = 0
        self._newest: dict[str, int] = {}
        self._unsure: set[str] = set()
        """Symbols without a tick since the interruption."""

    def interrupted(self) -> None:
        """The connection was lost and is there again."""
        self.gaps += 1
        self._unsure = set(self._newest)

    def look(self, tick: Tick) -> None:
        """The next tick."""
        sequence = getattr(tick, "sequence", None)
        if not isinstance(sequence, int):
            return
        newest = self._newest.get(tick.symbol)
        is_first = tick.symbol in self._unsure
        self._unsure.discard(tick.symbol)
        if newest is not None and sequence > newest + 1:
            self.missed += sequence - newest - 1
            self.gaps += not is_first
        if newest is None or is_first or sequence > newest:
            self._newest[tick.symbol] = sequence
