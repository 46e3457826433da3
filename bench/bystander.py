"""`python -m bench.bystander NAME SESSION`: a gateway that submits all that its lane takes and never reads a report. It ends when nobody listens."""

from __future__ import annotations

import sys

import numpy as np

from bench.isolation import FLOOD
from shm_exchange.client.gateway import Gateway
from shm_exchange.layout.records import COMMAND_WORDS


def main() -> None:
    """Fill the report ring and the lane behind it, say so, and wait."""
    name, session = sys.argv[1:]
    gateway = Gateway.attach(name, session=session, lane_full="drop")
    words = np.zeros(1024, COMMAND_WORDS)
    words["kinds"], words["order_id"] = FLOOD, 1
    refused = 0
    while refused < 100:  # the matcher takes what it can in between
        refused = refused + 1 if gateway.submit_many(words).submitted == 0 else 0
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
