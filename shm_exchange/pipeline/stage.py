"""A team and the way in to it, as one thing that is looked at and measured: what stands behind a pool, and behind every queue of a pipeline."""

from __future__ import annotations

from collections.abc import Callable

from shm_exchange.pipeline.alarm import Alarm
from shm_exchange.pipeline.fan import Fan
from shm_exchange.pipeline.metrics import PoolMetrics, dropped, measured
from shm_exchange.pipeline.team import Team


class Stage:
    """refused: how many items its producers were refused; is_connected: whether any of them may still put."""

    def __init__(self, fan: Fan, team: Team, threshold: int, refused: Callable[[], int], is_connected: Callable[[], bool]) -> None:
        self.fan = fan
        self.team = team
        self._refused = refused
        self._is_connected = is_connected
        self._alarm = Alarm(fan.plan.name, threshold)

    def look(self) -> None:
        """Let producers see the end once nobody gets any more, and warn."""
        if self.team.is_over:
            self.fan.end()
        queue = self.fan.figures()
        self._alarm.look(queue, dropped(self.team, queue, is_final=self.team.is_over))

    def metrics(self) -> PoolMetrics:
        """Now. Once the team is over, what was not finished is lost."""
        queue, is_final = self.fan.figures(), self.team.is_over
        total = dropped(self.team, queue, is_final=is_final)
        lately = self._alarm.dropped_lately(total)
        return measured(self.team, self.fan, refused=self._refused(), connected=self._is_connected(), dropped_lately=lately, is_final=is_final)
