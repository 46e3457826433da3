"""Two traders meet: an order rests, another trades with part of it, and everybody is told."""

import os

from shm_exchange import Exchange, Gateway, Instrument, MarketView, Side

NAME = f"hello-{os.getpid()}"  # an exchange is known to the whole machine by its name


def main() -> None:
    with (
        Exchange.start(NAME, [Instrument("ACME", tick_size="0.01", lot_size="1")]),
        Gateway.attach(NAME, session="alice") as alice,
        Gateway.attach(NAME, session="bob") as bob,
        MarketView.attach(NAME, "ACME") as view,
    ):
        resting = alice.limit("ACME", Side.BUY, price="99.50", quantity=100)
        alice.wait()  # until the order is in the book
        bob.limit("ACME", Side.SELL, price="99.50", quantity=40)
        bob.wait()
        print("alice was told:", *alice.poll(), sep="\n  ")
        print("bob was told:", *bob.poll(), sep="\n  ")
        print("best bid:", view.best_bid())
        alice.cancel(resting)
        alice.wait()
        print("alice cancels the rest:", *alice.poll(), sep="\n  ")
        print("best bid:", view.best_bid())


if __name__ == "__main__":
    main()
