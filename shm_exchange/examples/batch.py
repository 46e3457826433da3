"""A hundred thousand orders from one array, and their answers as another: one call for thousands of messages, and numpy for the rest."""

import os
import time

import numpy as np

from shm_exchange import Exchange, Gateway, Instrument, OrderType, SelfTradePrevention, Side, TimeInForce
from shm_exchange.domain.enums import CommandKind, EventKind
from shm_exchange.layout.records import COMMAND

NAME = f"batch-{os.getpid()}"
ORDERS, AT_ONCE = 100_000, 1_000


def main() -> None:
    draw = np.random.default_rng(5)
    commands = np.zeros(ORDERS, COMMAND)
    commands["kind"], commands["order_type"], commands["time_in_force"] = CommandKind.ENTER, OrderType.LIMIT, TimeInForce.GTC
    commands["self_trade"] = SelfTradePrevention.NONE
    commands["side"] = draw.choice([Side.BUY, Side.SELL], ORDERS)
    commands["price_ticks"] = draw.normal(10_000, 20, ORDERS).astype(int)
    commands["quantity"] = draw.integers(1, 100, ORDERS)
    with Exchange.start(NAME, [Instrument("ACME")], session_orders=65_536) as exchange, Gateway.attach(NAME, session="batch") as gateway:
        parts, answered, began = [], 0, time.perf_counter()
        for start in range(0, ORDERS, AT_ONCE):
            gateway.submit_many(commands[start : start + AT_ONCE])
            while answered < start + AT_ONCE and gateway.wait(1.0):
                parts.append(gateway.poll_array())
                answered += int(np.count_nonzero(parts[-1]["kind"] == EventKind.ACCEPTED))
        reports = np.concatenate(parts)
        print(f"{ORDERS} orders and {len(reports)} reports in {time.perf_counter() - began:.2f} s")
        fills = reports[reports["kind"] == EventKind.EXECUTED]
        print(f"{len(fills) // 2} trades, average price {np.average(fills['price_ticks'], weights=fills['quantity']) / 100:.4f}")
        print(f"{exchange.status()['open_orders']} orders rest in the book, which {'holds' if exchange.verify().holds else 'is broken'}")


if __name__ == "__main__":
    main()
