"""The hot path as machine code: nothing allocates, nothing calls into Python, and every fence of the protocol is there."""

from __future__ import annotations

import platform
import re
from collections import Counter
from typing import Any

import pytest

from shm_exchange import EventFeed, Gateway, MarketView
from shm_exchange._jit import BOUNDS_CHECKED, INTERPRETED
from shm_exchange.client.waiting import park_for_report
from shm_exchange.matcher.loop import run_slice
from shm_exchange.ring.broadcast import take_events
from shm_exchange.ring.lane import submit, submit_many
from shm_exchange.ring.reports import acknowledge, await_report, take_reports
from shm_exchange.snapshot.slots import read_snapshot
from tests.litmus.exchanges import running
from tests.matcher.compiled import assembly, bodies, callees, orders_of_memory
from tests.matcher.rig import orders, rigged

pytestmark = pytest.mark.skipif(INTERPRETED or BOUNDS_CHECKED, reason="about what the compiler makes of it")

SYSTEM_CALLS = {"clock_gettime", "sched_yield", "syscall"}
"""All that may be called from outside: the clock once a slice and a busy batch, yield and futex for who has nothing to do or wakes a sleeper."""

KERNELS = [run_slice, submit, submit_many, take_reports, acknowledge, await_report, park_for_report, read_snapshot, take_events]


@pytest.fixture(scope="module", autouse=True)
def every_kernel_is_loaded() -> None:
    with rigged() as rig:
        rig.gateways(1)
    with running() as supervisor, Gateway.attach(supervisor.name, session="alice") as gateway:
        gateway.submit_many(orders(1))
        gateway.wait(0.001)
        gateway.poll()
        gateway.wait(0.001)
        with MarketView.attach(supervisor.name, "ACME") as view, EventFeed.attach(supervisor.name) as feed:
            view.depth()
            feed.poll()


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.__name__)
def test_nothing_is_called_but_the_kernels_themselves(kernel: Any) -> None:
    """No allocator, no reference counts, no interpreter, no library call for an atomic."""
    functions = bodies(kernel)
    assert any(kernel.__name__ in function.name for function in functions)
    called = {name for name in callees(functions) if not name.startswith("llvm.")}
    assert called <= SYSTEM_CALLS
    if kernel not in (run_slice, park_for_report, submit, submit_many):
        assert not called


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.__name__)
def test_no_error_is_raised_from_within(kernel: Any) -> None:
    """A kernel that could raise would hold text and pickles for the exception."""
    for overload in kernel.overloads.values():
        assert not re.findall(r"@\.const\.pickle\S*", str(overload.library._get_module_for_linking()))


PROTOCOL = [
    # (kernel, what must be there at least, with the letter of the module's docstring)
    (submit, {"store release": 1, "load acquire": 1, "fence seq_cst": 1, "or seq_cst": 1, "xchg seq_cst": 1}),
    (submit_many, {"store release": 1, "load acquire": 1, "fence seq_cst": 1, "or seq_cst": 1, "xchg seq_cst": 1}),
    (take_reports, {"load acquire": 2}),
    (acknowledge, {"store release": 1}),
    (park_for_report, {"store monotonic": 1, "fence seq_cst": 1, "xchg seq_cst": 1, "load acquire": 1}),
    (take_events, {"load acquire": 2, "load monotonic": 7, "fence acquire": 1}),
    (read_snapshot, {"load acquire": 2, "load monotonic": 8, "fence acquire": 1}),
    (
        run_slice,
        {"fence seq_cst": 2, "fence release": 2, "store release": 6, "load acquire": 3, "and seq_cst": 1, "or seq_cst": 1, "xchg seq_cst": 2},
    ),
]


@pytest.mark.parametrize(("kernel", "wanted"), PROTOCOL, ids=[kernel.__name__ for kernel, _ in PROTOCOL])
def test_the_orders_of_the_protocol_survive_the_optimizer(kernel: Any, wanted: dict[str, int]) -> None:
    found = Counter(orders_of_memory(bodies(kernel)))
    assert {order: found[order] for order, least in wanted.items() if found[order] < least} == {}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="names instructions of one machine")
@pytest.mark.parametrize("kernel", [submit, submit_many, park_for_report, run_slice], ids=lambda kernel: kernel.__name__)
def test_full_fences_and_exchanges_are_real_instructions(kernel: Any) -> None:
    text = assembly(kernel)
    assert re.search(r"\b(mfence|lock\s+or[lq]\s)", text)
    assert re.search(r"\bxchgq\b|\block\s+cmpxchg", text)
