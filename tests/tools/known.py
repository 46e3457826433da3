"""Orders whose outcome is known, and that outcome."""

from __future__ import annotations

from shm_exchange import Gateway, Side
from shm_exchange.shm import attach
from tests.litmus.exchanges import take
from tests.litmus.waiting import await_that

WAITING = 3
"""Commands that lie in alice's lane when her matcher dies."""

BIDS = [["99.50", "60"], ["99.49", "10"]]
ASKS = [["99.60", "30"]]
LAST = ["99.50", "40"]
COMMANDS, EVENTS, TRADES, OPEN_ORDERS = 8, 7, 1, 3
"""Two logons, five orders, one cancel; events: five orders accepted, one trade, one cancel."""


def submit_known(alice: Gateway, bob: Gateway) -> None:
    """Rest three orders, trade once, cancel one; returns when everything is answered."""
    alice.limit("ACME", Side.BUY, "99.50", 100)
    alice.limit("ACME", Side.BUY, "99.49", 10)
    take(alice, 2)
    bob.limit("ACME", Side.SELL, "99.60", 30)
    canceled = bob.limit("FINE", Side.SELL, "1.005", "0.3")
    bob.limit("ACME", Side.SELL, "99.50", 40)
    bob.cancel(canceled)
    take(bob, 5)
    take(alice, 1)
    alice.ack()
    bob.ack()
    with attach(alice.name, populate=False) as segment:  # the matcher counts a batch after it has published it
        counters = segment.array("counters")
        await_that(lambda: counters[0].commands == COMMANDS, "everything is counted")


def matcher_pid(name: str) -> int:
    """The process that matches."""
    with attach(name, populate=False) as segment:
        return int(segment.array("matcher")[0].pid)
