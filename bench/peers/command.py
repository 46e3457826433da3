"""The command: the table of peers, a row for each, ours beside them, and whether they all traded alike."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.flow import generate
from bench.measurement import Measurement
from bench.pair import cores
from bench.peers import ours
from bench.peers.environments import Unavailable, environment
from bench.peers.play import RESULT, SAMPLES, Message
from bench.statistics import percentiles
from shm_exchange.domain.errors import ConfigError
from shm_exchange.protocol.referee import MessageKind

SCENARIO, SEED = "normal", 23
COUNT, SECONDS = 20_000, 5.0
_CHECKOUT = Path(__file__).parents[2]
_PATIENCE = 120.0
"""Seconds beyond those of the two passes: importing, and one slow chunk."""
_PERCENTS = ("50", "99", "99.9")

Progress = Callable[[str], None]


class Peer(NamedTuple):
    """An engine: what to install, which adapter plays it, and where it cannot do what the flow asks."""

    requirement: str | None  # None: nothing to install
    adapter: str
    kind: str
    differs: str = ""


_NO_IOC = "immediate-or-cancel as limit, then cancel of the rest"
_NO_REPLACE = "replace as cancel, then new"
PEERS: Mapping[str, Peer] = {
    "obook": Peer("obook==0.1.0", "bench.peers.engines.obook", "C engine in the caller's process"),
    "orderly-chaos": Peer(
        "orderly-chaos==0.2.0", "bench.peers.engines.orderly_chaos", "C++ engine in the caller's process", f"{_NO_IOC}; {_NO_REPLACE}"
    ),
    "nanobook": Peer("nanobook==0.19.2", "bench.peers.engines.nanobook", "Rust engine in the caller's process"),
    "cython-orderbook": Peer(
        "cython-orderbook==0.1.2", "bench.peers.engines.cython_orderbook", "Cython, in the caller's process", f"{_NO_IOC}; {_NO_REPLACE}"
    ),
    "lightmatchingengine": Peer(
        "lightmatchingengine==2019.1.4", "bench.peers.engines.lightmatchingengine", "Python, in the caller's process", f"{_NO_IOC}; {_NO_REPLACE}"
    ),
    "pyorderbook": Peer("pyorderbook==0.4.9", "bench.peers.engines.pyorderbook", "Python, in the caller's process", f"{_NO_IOC}; {_NO_REPLACE}"),
    "fastlob": Peer("fastlob==0.0.24", "bench.peers.engines.fastlob", "Python, in the caller's process", f"{_NO_IOC}; {_NO_REPLACE}"),
    "order-matching": Peer(
        "order-matching[polars]==0.12.0", "bench.peers.engines.order_matching", "Python, in the caller's process", f"{_NO_IOC}; {_NO_REPLACE}"
    ),
}

OURS_ANSWERED = "shm_exchange, each call answered"
OURS_STREAMED = "shm_exchange, calls streamed"
OURS_BATCH = "shm_exchange, submit_many"
_WAYS = {
    OURS_ANSWERED: "gateway.limit, then wait and poll: to the matcher process on another core and back; latency until Python has the answer",
    OURS_STREAMED: "gateway.limit without waiting, the answers taken every 64 calls; latency of the call alone, the answer comes later",
    OURS_BATCH: "arrays of 256 commands a call; no latency of one order",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Everything but --json and --report, which all commands have."""
    parser.epilog = "Needs pip and the network; an engine that cannot be had costs its row alone. Everything installed is gone afterwards."
    parser.add_argument("--only", nargs="+", choices=PEERS, metavar="ENGINE", help=f"these engines alone, of {', '.join(PEERS)}")
    parser.add_argument("--count", type=int, default=COUNT, metavar="N", help=f"new orders of the flow (default {COUNT:,})")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the flow (default {SEED})")
    parser.add_argument("--seconds", type=float, default=SECONDS, metavar="S", help=f"an engine is stopped after that, twice (default {SECONDS:g})")


def run(arguments: argparse.Namespace, tell: Progress) -> Measurement:
    """All rows. Raises ConfigError for a flow that cannot be."""
    if not 0 < arguments.seconds < float("inf"):
        raise ConfigError(f"--seconds {arguments.seconds:g} gives the engines no time: say how long each may take at most, e.g. --seconds 5")
    chosen = {name: PEERS[name] for name in arguments.only} if arguments.only else PEERS
    return measure(chosen, generate(SCENARIO, arguments.seed, arguments.count), arguments.seconds, tell)


def measure(peers: Mapping[str, Peer], messages: np.ndarray, seconds: float, tell: Progress) -> Measurement:
    """Ours first, because ours says how many trades there must be; then one peer after the other. messages: MESSAGE of `bench.flow`."""
    flow = as_tuples(messages)
    tell(f"{OURS_BATCH}: {len(flow):,} messages")
    batch, expected = ours.batch_row(messages)
    rows = [_row(OURS_BATCH, {"calls": _WAYS[OURS_BATCH], "processes": 2}, batch, expected)]
    for name, way in ((OURS_STREAMED, ours.Streamed), (OURS_ANSWERED, ours.Answered)):
        tell(name)
        rows.append(_row(name, {"calls": _WAYS[name], "processes": 2}, ours.scalar_row(way, flow, seconds), expected))
    for name, peer in peers.items():
        about = {
            "calls": peer.kind + (f"; {peer.differs}" if peer.differs else ""),
            "processes": 1,
            "version": (peer.requirement or "").partition("==")[2],
        }
        try:
            rows.append(_row(name, about, _played(name, peer, flow, seconds, tell), expected))
        except Unavailable as error:
            tell(f"{name}: {error}")
            rows.append({"name": name, **about, "unavailable": str(error)})
    return Measurement({"scenario": SCENARIO, "messages": len(flow), "trades": int(expected[-1]), "engines": rows}, warnings=_warnings(rows))


def as_tuples(messages: np.ndarray) -> list[Message]:
    """The flow as the calls' arguments."""
    assert (MessageKind.NEW, MessageKind.CANCEL, MessageKind.MODIFY) == (0, 1, 2)
    columns = (messages[name].tolist() for name in ("kind", "side", "ioc", "quantity", "order_id", "price_ticks"))
    return list(zip(*columns, strict=True))


def _played(name: str, peer: Peer, flow: list[Message], seconds: float, tell: Progress) -> dict[str, Any]:
    """What a peer made of the flow, in an environment of its own. Raises Unavailable."""
    tell(f"{name}: installing" if peer.requirement else name)
    with environment(peer.requirement) as python, tempfile.TemporaryDirectory(prefix="bench-peer-") as out:
        tell(f"{name}: playing")
        path = Path(out) / "flow.i8"
        path.write_bytes(np.array(flow, np.int64).tobytes())
        command = [python, "-m", "bench.peers.play", peer.adapter, str(path), out, str(seconds), str(cores()[0])]
        variables = {**os.environ, "PYTHONPATH": str(_CHECKOUT)}
        try:
            done = subprocess.run(
                command, cwd=out, env=variables, capture_output=True, text=True, check=False, timeout=2 * seconds + _PATIENCE, errors="replace"
            )
        except subprocess.TimeoutExpired:
            raise Unavailable(f"it did not come back within {2 * seconds + _PATIENCE:g} s") from None
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode} and said nothing"])[-1]
            raise Unavailable(f"it failed: {last}")
        result: dict[str, Any] = json.loads((Path(out) / RESULT).read_text())
        return result | {"samples": np.fromfile(Path(out) / SAMPLES, np.int64)}


def _row(name: str, about: dict[str, Any], played: dict[str, Any], expected: np.ndarray) -> dict[str, Any]:
    """One engine's figures; it agrees when it traded as often as ours after the same messages; None: it does not tell."""
    samples, count = played["samples"], played["messages"]
    found = percentiles(samples, _PERCENTS) if samples is not None else {}
    latency = {f"latency_ns_{key}": found.get(key) for key in (*(f"p{percent}" for percent in _PERCENTS), "max")}
    return {
        "name": name,
        **about,
        "messages_per_second": count / played["seconds"],
        **latency,
        "messages": count,
        "stopped_early": count < len(expected),
        "trades": played["trades"],
        "agrees": None if played["trades"] is None else played["trades"] == int(expected[count - 1]),
    }


def _warnings(rows: list[dict[str, Any]]) -> list[str]:
    """What must be known before comparing rows."""
    warnings = ["ours crosses to another process and back, the others are calls within one: compare what each is for, not the figures alone"]
    for row in rows:
        if "unavailable" in row:
            warnings.append(f"{row['name']} has no figures: {row['unavailable']}")
        elif row["agrees"] is None:
            warnings.append(f"{row['name']} does not tell how often it traded: whether it does the same work is not known")
        elif not row["agrees"]:
            warnings.append(f"{row['name']} traded {row['trades']:,} times where ours traded otherwise: it does not do the same work")
        elif row["stopped_early"]:
            warnings.append(f"{row['name']} was stopped after {row['messages']:,} messages: its figures are of those; give more --seconds for all")
    return warnings
