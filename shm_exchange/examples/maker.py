"""A market maker: a bid and an ask around a price that moves, leaning against its own position. What it earns is the spread."""

import os
import random

from shm_exchange import Exchange, Gateway, Instrument, Side
from shm_exchange.client import Report

NAME = f"maker-{os.getpid()}"
HALF_SPREAD, QUANTITY = 5, 10


def answers(gateway: Gateway, command_id: int) -> list[Report]:
    """All reports up to the answer to a command."""
    reports: list[Report] = []
    while not any(report.command_id == command_id for report in reports):
        gateway.wait()
        reports += gateway.poll()
    return reports


def main() -> None:
    draw, value, position, cash = random.Random(7), 10_000, 0, 0
    with Exchange.start(NAME, [Instrument("ACME")]), Gateway.attach(NAME, session="maker") as maker, Gateway.attach(NAME, session="public") as public:
        for step in range(1, 401):
            for fill in (report for report in answers(maker, maker.mass_cancel()) if report.role):
                bought = fill.quantity_lots * (1 if fill.side is Side.BUY else -1)
                position, cash = position + bought, cash - bought * fill.price_ticks
            middle = value - position // 10
            maker.limit("ACME", Side.BUY, price_ticks=middle - HALF_SPREAD, quantity=QUANTITY, post_only=True)
            answers(maker, maker.limit("ACME", Side.SELL, price_ticks=middle + HALF_SPREAD, quantity=QUANTITY, post_only=True))
            answers(public, public.market("ACME", draw.choice((Side.BUY, Side.SELL)), quantity=draw.randint(1, QUANTITY)))
            value += draw.choice((-1, 0, 1))
            if step % 100 == 0:
                print(f"step {step}: value {value / 100:.2f}, position {position:+d}, earned {(cash + position * value) / 100:+.2f}")


if __name__ == "__main__":
    main()
