"""A strategy as a function, run by four processes with a gateway each. What the function returns comes back to whoever spawned it."""

import os
import random

from shm_exchange import Exchange, Gateway, Instrument, MarketView, Side

NAME = f"bot-{os.getpid()}"


def momentum(gateway: Gateway, rounds: int, seed: int) -> tuple[int, float]:
    """Follow the last trade: lean to the side on which it went; returns the position and what was paid for it."""
    draw, seen, position, paid = random.Random(f"{seed} {gateway.session}"), 100_00, 0, 0
    with MarketView.attach(gateway.name, "ACME") as view:
        for _ in range(rounds):
            last = view.top().last
            price = int(last.price * 100) if last else seen
            rising = price > seen if price != seen else draw.random() < 0.5
            gateway.limit("ACME", Side.BUY if rising else Side.SELL, price_ticks=price + draw.randint(-10, 10), quantity=draw.randint(1, 10))
            seen = price
            gateway.wait(0.001)
            for report in gateway.poll():
                if report.role and report.side:
                    lots = report.quantity_lots if report.side is Side.BUY else -report.quantity_lots
                    position, paid = position + lots, paid + lots * report.price_ticks
    return position, paid / 100


def main() -> None:
    with Exchange.start(NAME, [Instrument("ACME")]) as exchange:
        bots = exchange.spawn("shm_exchange.examples.bot:momentum", 2_000, seed=11, session="bot", count=4)
        for bot in bots:
            print(f"{bot.name} ends with (position, paid) = {bot.result}")
        print(f"{exchange.status()['trades']} trades between them")


if __name__ == "__main__":
    main()
