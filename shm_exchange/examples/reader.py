"""A process that only looks: it maps the exchange read-only, asks nobody, and disturbs nobody, while another process trades at full speed."""

import os
import random
import time
from contextlib import suppress

from shm_exchange import EventFeed, Exchange, Gateway, Instrument, MarketView, Side
from shm_exchange.domain.errors import EventsLost

NAME = f"reader-{os.getpid()}"


def trade(gateway: Gateway, orders: int) -> None:
    """Runs in a process of its own: random limit orders around 100.00."""
    draw = random.Random(3)
    for _ in range(orders):
        gateway.limit("ACME", draw.choice((Side.BUY, Side.SELL)), price_ticks=draw.randint(9_950, 10_050), quantity=draw.randint(1, 100))
        gateway.poll()


def main() -> None:
    with Exchange.start(NAME, [Instrument("ACME")], session_orders=65_536) as exchange:
        view, feed = MarketView.attach(NAME, "ACME"), EventFeed.attach(NAME)
        (trader,) = exchange.spawn("shm_exchange.examples.reader:trade", 60_000, session="trader")
        events = 0
        while trader.poll() is None or feed.next_event < feed.tail:
            with suppress(EventsLost):  # nobody waits for a reader; a slow one is told exactly what it missed
                events += len(feed.poll_array())
            if (depth := view.top()).bid and depth.ask:
                print(f"bid {depth.bid.quantity} @ {depth.bid.price}, ask {depth.ask.quantity} @ {depth.ask.price}, {events} events so far")
            time.sleep(0.05)
        print(f"{events} of {feed.tail - 1} events seen, {exchange.status()['trades']} trades, by process {trader.pid}")


if __name__ == "__main__":
    main()
