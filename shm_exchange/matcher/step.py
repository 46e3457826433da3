"""Log → engine → published outputs: steps 5 to 7 of a batch. The referee's kernel boundary runs exactly this kernel."""

from __future__ import annotations

from shm_exchange._intrinsics import exchange, fence_full, futex_wake, load_relaxed, store_release
from shm_exchange._jit import inlined, kernel
from shm_exchange.domain.limits import CACHE_LINE
from shm_exchange.engine.apply import apply
from shm_exchange.ring.publish import publish_events, publish_reports
from shm_exchange.snapshot.book_top import publish_due


@inlined
def _publish_accounts(memory, book):
    """Names of accounts that appeared in this batch, before anybody can see a record that carries their numbers."""
    words, state = memory.words[0], book.state[0]
    while words.account_count < state.account_count:
        account = words.account_count + 1
        memory.accounts[account].low = book.accounts[account].low
        memory.accounts[account].high = book.accounts[account].high
        store_release(words, "account_count", account)


@inlined
def _wake_parked(memory, outputs):
    """Wake the gateways that sleep on reports of this batch: one system call for each that sleeps, none otherwise."""
    fence_full()  # (D) pairs with the fence of a gateway between parked := 1 and its last look (client.waiting)
    for index in range(outputs.state[0].touched):
        session = outputs.touched[index]
        parked = memory.parked[session]
        if load_relaxed(parked, "parked") != 0 and exchange(parked, "parked", 0) != 0:
            memory.counters[0].wakes += 1
            futex_wake(memory.parked.ctypes.data + session * CACHE_LINE)


@inlined
def _count(memory, book, published):
    counters, state = memory.counters[0], book.state[0]
    store_release(memory.words[0], "time_ns", state.time_ns)  # behind the events, too: client.settled reads it as "no earlier one comes"
    memory.private[0].applied = state.sequence
    for index in range(memory.private[0].hot_count):
        session = memory.hot[index]
        memory.lane_state[session].applied = book.sessions[session].position
    store_release(counters, "commands", state.sequence)  # behind all that was published: client.sessions reads it as "done up to here"
    counters.trades = state.trades
    counters.rejects = state.rejects
    counters.reports += published
    counters.open_orders = state.open_orders
    counters.pages = state.pages
    counters.open_orders_high = max(counters.open_orders_high, state.open_orders)
    counters.pages_high = max(counters.pages_high, state.pages)


@inlined
def publish(memory, book, outputs, snapshots):
    """Let everybody see what was applied: accounts, snapshots, events, reports; then wake the parked."""
    _publish_accounts(memory, book)
    publish_due(book, snapshots)
    publish_events(book, outputs, memory.words[0])
    published = publish_reports(book, outputs, memory.report_tails)
    _wake_parked(memory, outputs)
    outputs.state[0].touched = 0
    _count(memory, book, published)


@kernel
def process(memory, book, outputs, log, snapshots, last):
    """Apply the log up to `last` and publish."""
    apply(book, outputs, log, last)
    publish(memory, book, outputs, snapshots)
