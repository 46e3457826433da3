"""Stands in for `shm_exchange.supervisor.kernels` in tests: counts its runs in a file, and says its steps."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.instrument import Instrument
from shm_exchange.runtime.warm import exchange_name
from shm_exchange.shm import create

log = Path(os.environ["COMPILER_LOG"])
with log.open("a") as file:
    file.write("run\n")
for done in range(3):
    print(json.dumps({"name": f"step {done}", "done": done, "total": 2}), flush=True)
if os.environ.get("COMPILER_RESTS"):
    segment = create(ExchangeConfig(exchange_name(os.getpid()), (Instrument("A"),), max_sessions=1))
    print(json.dumps({"name": "resting", "done": 2, "total": 2}), flush=True)
    signal.pause()
if os.environ.get("COMPILER_FAILS"):
    raise RuntimeError("no compiler here")
