"""`shm-exchange pipeline balancer`: one stream of orders, a bounded queue for each group of symbols, and behind each a matcher of its own.

    orders ─▶ queue ─▶ deal ─┬▶ queue 1 ─▶ submit ─▶ shard 1 ─▶ reports ─┐
                             ├▶ queue 2 ─▶ submit ─▶ shard 2 ─▶ reports ─┼▶ every symbol in its order
                             └▶ queue 3 ─▶ submit ─▶ shard 3 ─▶ reports ─┘

One exchange in shards: each has its own lane of the one session "front", and one thread that uses it.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any, NamedTuple

from shm_exchange.cli.pipeline_run import DRAIN_SECONDS, Line, Ready, joined
from shm_exchange.client import Gateway
from shm_exchange.client.sharded_gateway import ShardedGateway
from shm_exchange.domain.enums import EventKind
from shm_exchange.domain.instrument import Instrument
from shm_exchange.participants.balance import Groups, NewOrder, OrderCheck, orders
from shm_exchange.participants.clear import check_matcher
from shm_exchange.pipeline import PipelineMetrics, WorkerPool

SHARDS = 3
SYMBOLS = ("ACME", "GLOBEX", "HOOLI", "INITECH", "STARK", "UMBRELLA")
_QUEUE = 512
_POLL_EVERY = 64
_LOOK_SECONDS = 0.2
_NUMBER_BITS = 32
_SIZES: dict[str, Any] = {"max_sessions": 2, "max_orders": 1 << 17, "session_orders": 1 << 17, "report_capacity": 8192, "event_capacity": 8192}


class Wishes(NamedTuple):
    """What is asked for."""

    orders: int = 20_000
    seed: int = 1


class Shards:
    """One exchange with a matcher for each group, and each group's lane of the session "front"."""

    def __init__(self, groups: Groups, stack: ExitStack) -> None:
        from shm_exchange.supervisor.exchange import Exchange
        from shm_exchange.supervisor.sharded import ShardedExchange

        name, homes = f"balancer-{os.getpid()}", {symbol: groups.group_of(symbol) for symbol in SYMBOLS}
        exchange = stack.enter_context(Exchange.start(name, [Instrument(symbol) for symbol in SYMBOLS], shards=homes, **_SIZES))
        front = stack.enter_context(Gateway.attach(name, session="front"))
        assert isinstance(exchange, ShardedExchange)
        assert isinstance(front, ShardedGateway)
        self.exchange, self.fronts = exchange, front.shards

    @property
    def trades(self) -> list[int]:
        """Of each shard."""
        return [int(shard.status()["trades"]) for shard in self.exchange.shards]

    @property
    def holds(self) -> bool:
        """Whether the books of all are what they must be."""
        return self.exchange.verify().holds


class Submit:
    """The worker of one shard: orders in, reports out. It belongs to one thread at a time."""

    def __init__(self, group: int, front: Gateway, check: OrderCheck) -> None:
        self.submitted = self.accepted = self.rejected = self.fills = 0
        self._group, self._front, self._check = group, front, check
        self._symbols = list(SYMBOLS)

    def __call__(self, order: NewOrder) -> None:
        """Send one, and now and then take what came back."""
        number = self._symbols.index(order.symbol) << _NUMBER_BITS | order.number
        self._front.limit(order.symbol, order.side, price_ticks=order.price_ticks, quantity=order.lots, client_order_id=number)
        self.submitted += 1
        if self.submitted % _POLL_EVERY == 0:
            self.poll()

    def poll(self) -> None:
        """Take the reports that are there. Every answer to an order is checked, in the order in which the matcher gave it."""
        for report in self._front.poll():
            if report.kind is EventKind.EXECUTED:
                self.fills += 1
            elif report.kind in (EventKind.ACCEPTED, EventKind.REJECTED):
                self.accepted += report.kind is EventKind.ACCEPTED
                self.rejected += report.kind is EventKind.REJECTED
                number = report.client_order_id
                self._check.look(self._group, self._symbols[number >> _NUMBER_BITS], number & ((1 << _NUMBER_BITS) - 1))

    def settle(self) -> None:
        """Until everything is answered. Raises ExchangeError when the matcher dies."""
        self.poll()
        while self.accepted + self.rejected < self.submitted:
            if not self._front.wait(_LOOK_SECONDS):
                check_matcher(self._front)
            self.poll()


class Balancer(Ready):
    """The pipeline in front, and a pool of one worker for each group behind it."""

    name = "balancer"

    def __init__(self, wishes: Wishes) -> None:
        super().__init__()
        self._wishes = wishes
        self._groups = Groups(SYMBOLS, SHARDS)
        self._dealt = dict.fromkeys(SYMBOLS, 0)

    def open(self) -> None:
        """As Ready says."""
        self._shards = Shards(self._groups, self.stack)
        self._checks = [OrderCheck() for _ in range(SHARDS)]
        self._workers = [Submit(*parts) for parts in zip(range(SHARDS), self._shards.fronts, self._checks, strict=True)]
        named = [(f"shard-{group}", worker) for group, worker in enumerate(self._workers, 1)]
        self._pools = [WorkerPool(worker, num_workers=1, processes=False, maxsize=_QUEUE, name=name) for name, worker in named]
        for pool in self._pools:
            pool.start()
            self.stack.callback(pool.stop, 0.0)
        stream = self.pipeline.queue("orders", maxsize=_QUEUE)
        self.pipeline.source("orders", orders(SYMBOLS, self._wishes.orders, self._wishes.seed), output=stream)
        self.pipeline.sink("deal", self._deal, input=stream)

    def _deal(self, order: NewOrder) -> None:
        """Into the queue of its symbol's group; waits for room there."""
        self._pools[self._groups.group_of(order.symbol)].put(order)
        self._dealt[order.symbol] += 1

    def metrics(self) -> PipelineMetrics:
        """As Ready says: the front, and every shard's worker."""
        return joined(self.name, self.pipeline.metrics(), [pool.metrics() for pool in self._pools], [])

    def drain(self) -> None:
        """As Ready says: the front first, then every shard."""
        super().drain()
        for pool in self._pools:
            pool.stop(DRAIN_SECONDS)

    def lines(self) -> list[Line]:
        """As Ready says."""
        said = [("dealt", f"{sum(self._dealt.values()):,}"), ("in order", "yes" if all(check.holds for check in self._checks) else "NO")]
        for group, worker in enumerate(self._workers):
            symbols = " ".join(self._groups.symbols_of(group))
            said.append(
                (f"shard {group + 1}", f"{worker.submitted:,} submitted, {worker.accepted:,} accepted, {worker.fills // 2:,} trades: {symbols}")
            )
        return said

    def figures(self) -> dict[str, Any]:
        """As Ready says."""
        for worker in self._workers:
            worker.settle()
        trades, seen = self._shards.trades, sum(check.seen for check in self._checks)
        counts: dict[str, int] = {}
        for check in self._checks:
            counts |= check.counts()
        total = {name: sum(getattr(worker, name) for worker in self._workers) for name in ("submitted", "accepted", "rejected", "fills")}
        dealt = {symbol: count for symbol, count in self._dealt.items() if count}
        checks = {
            "order_of_each_symbol_kept": all(check.holds for check in self._checks) and counts == dealt,
            "totals_equal_the_sum": total["submitted"] == total["accepted"] + total["rejected"] == seen == sum(dealt.values()),
            "both_sides_told": [worker.fills for worker in self._workers] == [2 * count for count in trades],
            "book_check": self._shards.holds,
        }
        shards = [
            {"symbols": self._groups.symbols_of(group), "submitted": worker.submitted, "trades": trades[group]}
            for group, worker in enumerate(self._workers)
        ]
        return {**total, "trades": sum(trades), "symbols": counts, "shards": shards, "checks": checks}
