"""`python load.py`: an exchange whose matcher has work without end, until Ctrl-C."""

from __future__ import annotations

import os
from contextlib import suppress

import numpy as np

from shm_exchange import Gateway, Instrument, OrderType, SelfTradePrevention, Side, TimeInForce
from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.enums import CommandKind
from shm_exchange.layout.records import COMMAND
from shm_exchange.supervisor.supervisor import Supervisor

BATCH = 1024


def crossing() -> np.ndarray:
    """Buys and sells in turn at one price: each pair trades."""
    commands = np.zeros(BATCH, COMMAND)
    commands["kind"], commands["price_ticks"], commands["quantity"] = CommandKind.ENTER, 100, 1
    commands["order_type"], commands["time_in_force"], commands["self_trade"] = OrderType.LIMIT, TimeInForce.GTC, SelfTradePrevention.NONE
    commands["side"] = Side.BUY + np.arange(BATCH) % len(Side)
    return commands


def main() -> None:
    config = ExchangeConfig(f"load-{os.getpid()}", (Instrument("ACME"),), max_sessions=2, max_orders=4096)
    with Supervisor(config, end_with_parent=True), Gateway.attach(config.name, session="load", lane_full="drop") as gateway:
        commands = crossing()
        while True:
            gateway.submit_many(commands)
            while len(gateway.poll_array()):
                continue


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
