"""The whole book, order by order, rebuilt from the events alone: who waits at a price, and in what order they will trade."""

import os

from shm_exchange import BookReplica, Exchange, Gateway, Instrument, Side

NAME = f"replica-{os.getpid()}"


def main() -> None:
    with (
        Exchange.start(NAME, [Instrument("ACME")]) as exchange,
        Gateway.attach(NAME, session="alice") as alice,
        Gateway.attach(NAME, session="bob") as bob,
        BookReplica.attach(NAME, "ACME") as replica,
    ):

        def show(what: str, gateway: Gateway) -> None:
            gateway.wait()  # for the answer to its last command
            gateway.poll()
            print(f"{what}: {replica.volume('10.00')} at 10.00")
            for place, order in enumerate(replica.orders("10.00"), 1):
                print(f"  {place}. {order.participant:<6} {order.side.name} {order.quantity}")

        first = alice.limit("ACME", Side.SELL, "10.00", 50)
        show("an order waits", alice)
        bob.limit("ACME", Side.SELL, "10.00", 30)
        show("another behind it", bob)
        alice.reduce(first, 10)
        show("alice takes 10 off her first order and keeps its place", alice)
        alice.replace(first, price="10.00", quantity=90)
        show("alice raises it to 90 in total, and goes to the end of the queue", alice)
        bob.market("ACME", Side.BUY, 35)
        show("bob buys 35: the first in the queue trade first", bob)
        print(f"all invariants of the book hold: {exchange.verify().holds}")


if __name__ == "__main__":
    main()
