"""A hundred thousand orders from one array, and their answers as another: one call for thousands of messages, and numpy for the rest."""

import os
import time

import numpy as np

from shm_exchange import Exchange, Gateway, Instrument, OrderType, Side, TimeInForce
from shm_exchange.domain.enums import CommandKind, EventKind
from shm_exchange.layout.records import COMMAND, REPORT

NAME = f"batch-{os.getpid()}"
ORDERS, AT_ONCE = 100_000, 2_000


def main() -> None:
    draw = np.random.default_rng(5)
    commands = np.zeros(ORDERS, COMMAND)
    commands["kind"], commands["order_type"], commands["time_in_force"] = CommandKind.ENTER, OrderType.LIMIT, TimeInForce.GTC
    commands["side"] = draw.choice([Side.BUY, Side.SELL], ORDERS)
    commands["price_ticks"] = draw.normal(10_000, 20, ORDERS).astype(int)
    commands["quantity"] = draw.integers(1, 100, ORDERS)
    reports = np.zeros(0, REPORT)
    with Exchange.start(NAME, [Instrument("ACME")], session_orders=65_536) as exchange, Gateway.attach(NAME, session="batch") as gateway:
        began = time.perf_counter()
        for start in range(0, ORDERS, AT_ONCE):
            gateway.submit_many(commands[start : start + AT_ONCE])
            reports = np.append(reports, gateway.poll_array())
        while np.isin(reports["kind"], (EventKind.ACCEPTED, EventKind.REJECTED)).sum() < ORDERS and gateway.wait():
            reports = np.append(reports, gateway.poll_array())
        seconds = time.perf_counter() - began
        print(f"{ORDERS} orders and {len(reports)} reports in {seconds:.2f} s")
        fills = reports[reports["kind"] == EventKind.EXECUTED]
        print(f"{len(fills) // 2} trades, average price {np.average(fills['price_ticks'], weights=fills['quantity']) / 100:.4f}")
        print(f"{exchange.status()['open_orders']} orders rest in the book, which {'holds' if exchange.verify().holds else 'is broken'}")


if __name__ == "__main__":
    main()
