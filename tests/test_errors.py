"""The catalogue: every error of the package, raised for real, says what, why and what to do; and README lists exactly these."""

from __future__ import annotations

import inspect
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from shm_exchange import Gateway, Instrument, MarketView, Side
from shm_exchange.domain import errors
from shm_exchange.domain.config import ExchangeConfig, TermStart
from shm_exchange.domain.errors import EventsLost, ExchangeError, ReportsLost, missing_extra
from shm_exchange.journal.folder import segment_path
from shm_exchange.journal.reading import Journal
from shm_exchange.journal.segments import SegmentWriter
from shm_exchange.layout.digest import LAYOUT_VERSION
from shm_exchange.layout.records import COMMAND_WORDS
from shm_exchange.pipeline import LocalQueue
from shm_exchange.shm import attach, create
from shm_exchange.shm import segment as segment_module
from shm_exchange.shm import space as space_module
from shm_exchange.supervisor.supervisor import Supervisor
from tests.litmus.exchanges import outgrow_the_log

README = (Path(__file__).parents[1] / "README.md").read_text()
ACME = Instrument("ACME", tick_size="0.01", lot_size="10")
Raiser = Callable[[Supervisor, pytest.MonkeyPatch], object]


def _config(name: str, **sizes: int) -> ExchangeConfig:
    return ExchangeConfig(name, (ACME,), max_orders=1024, lane_capacity=64, report_capacity=64, event_capacity=256, log_capacity=256, **sizes)


@pytest.fixture(scope="module")
def exchange() -> Iterator[Supervisor]:
    with Supervisor(_config(f"errors-{os.getpid()}", max_sessions=2, sweep_budget=16)) as supervisor:
        yield supervisor


def _session_in_use(exchange: Supervisor, _: pytest.MonkeyPatch) -> None:
    with Gateway.attach(exchange.name, session="alice"):
        Gateway.attach(exchange.name, session="alice")


def _no_free_session(exchange: Supervisor, _: pytest.MonkeyPatch) -> None:
    with Gateway.attach(exchange.name, session="alice"), Gateway.attach(exchange.name, session="bob"):
        Gateway.attach(exchange.name, session="carol")


def _lane_full(exchange: Supervisor, _: pytest.MonkeyPatch) -> None:
    with Gateway.attach(exchange.name, session="alice", lane_full="raise") as gateway:
        os.kill(exchange.matcher.pid, signal.SIGSTOP)
        try:
            for _number in range(65):
                gateway.limit("ACME", Side.BUY, price_ticks=100, quantity=10)
        finally:
            os.kill(exchange.matcher.pid, signal.SIGCONT)
            gateway.wait()
            gateway.mass_cancel()


def _handle_closed(exchange: Supervisor, _: pytest.MonkeyPatch) -> None:
    gateway = Gateway.attach(exchange.name, session="alice")
    gateway.close()
    gateway.poll()


def _snapshot_busy(exchange: Supervisor, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("shm_exchange.client.view.read_snapshot", lambda *_: np.int64(-1))
    with MarketView.attach(exchange.name, "ACME") as view:
        view.top()


def _layout_mismatch(exchange: Supervisor, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(segment_module, "layout_digest", lambda: 7)
    attach(exchange.name)


def _not_enough_memory(_: Supervisor, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(space_module, "bytes_free", lambda _: 4096)
    create(_config("too-large"))


def _process_died(_: Supervisor, __: pytest.MonkeyPatch) -> None:
    with Supervisor(_config(f"dying-{os.getpid()}", sweep_budget=16)) as supervisor:
        outgrow_the_log(supervisor.name)
        os.kill(supervisor.matcher.pid, signal.SIGKILL)
        supervisor.verify()


def _journal_damaged(*_: object) -> None:
    with TemporaryDirectory() as folder:
        writer = SegmentWriter(folder, _config("kept"), TermStart(), 0, segment_records=64, durable_mode=True)
        writer.append(np.zeros(64, COMMAND_WORDS), 0, 10)
        writer.close(clean=True)
        path = segment_path(Path(folder), 0)
        path.write_bytes(path.read_bytes()[:-1] + b"!")
        list(Journal(folder).records(0, 10))


def _nothing_in_a_queue(*_: object) -> None:
    with LocalQueue[int]("ticks", 1) as queue, queue.producer(), queue.consumer() as consumer:
        consumer.get(timeout=0.001)


def _nobody_at_the_other_end(*_: object) -> None:
    with LocalQueue[int]("ticks", 1) as queue, queue.producer() as producer:
        queue.consumer().close()
        producer.put(1)


def _raise(error: Exception) -> None:
    raise error


SITUATIONS: dict[str, tuple[Raiser, str]] = {
    "ConfigError": (lambda *_: _config("x", depth=99), "depth must be a whole number from 1 to 64, not 99"),
    "PriceError": (
        lambda *_: ACME.ticks("99.505"),
        "price 99.505 is not a multiple of the tick 0.01 of ACME; 99.50 and 99.51 are: round it yourself, deliberately",
    ),
    "QuantityError": (
        lambda *_: ACME.lots(15),
        "quantity 15 is not a multiple of the lot 10 of ACME; 10 and 20 are: round it yourself, deliberately",
    ),
    "UnknownSymbol": (lambda e, _: MarketView.attach(e.name, "ACNE"), "has no instrument 'ACNE'; did you mean 'ACME'.; it has ACME"),
    "ExchangeNotFound": (
        lambda *_: attach("nobody-has-this"),
        "there is no exchange 'nobody-has-this'.*; start it with `shm-exchange run nobody-has-this`",
    ),
    "ExchangeRunning": (
        lambda e, _: create(_config(e.name)),
        "exchange 'errors-.*' is running: its supervisor .process [0-9]+, started .* lives; stop it with .shm-exchange stop errors-",
    ),
    "LayoutMismatch": (
        _layout_mismatch,
        f"was made with layout version {LAYOUT_VERSION}, digest 0x.*, digest 0x7: use the same release of shm-exchange in both, or stop it",
    ),
    "NotEnoughMemory": (
        _not_enough_memory,
        "needs [0-9,]+ bytes in /dev/shm, 4,096 are free; make .* smaller .*or give it more room: mount -o remount,size=",
    ),
    "SessionInUse": (_session_in_use, "session 'alice' is held by process [0-9]+, which is alive: close that gateway, or use another session name"),
    "NoFreeSession": (
        _no_free_session,
        "all 2 sessions of exchange .* are taken, by living gateways or by open orders; start the exchange with a greater max_",
    ),
    "LaneFull": (
        _lane_full,
        "the lane of session 'alice' is full and the command was not submitted: .*; poll reports, slow down, or use a larger lane_capacity",
    ),
    "ReportsLost": (
        lambda *_: _raise(ReportsLost(3, 7)),
        "reports 3 to 7 were overwritten before they were read; the next poll goes on at 8; poll more often",
    ),
    "EventsLost": (
        lambda *_: _raise(EventsLost(3, 7)),
        "events 3 to 7 .* the next poll goes on at 8; poll more often, or start .* a greater event_capacity",
    ),
    "SnapshotBusy": (_snapshot_busy, "the snapshot of ACME was overwritten [0-9]+ times while it was read; read again"),
    "HandleClosed": (_handle_closed, "this gateway cannot be used: it was closed"),
    "JournalError": (lambda *_: Journal("/nowhere"), "cannot read the journal folder /nowhere: No such file or directory; name the folder that"),
    "JournalDamaged": (
        _journal_damaged,
        r"/segment-0000000000000000.log, record 9 at byte \d+ \(number 9\) is damaged: it is not what was written there; restore the folder",
    ),
    "ProcessDied": (_process_died, "the matcher of exchange 'dying-.* was killed by SIGKILL.*; .*stop and start again"),
    "Empty": (_nothing_in_a_queue, "nothing came through queue 'ticks' within 0.001 s"),
    "Closed": (_nobody_at_the_other_end, "all consumers of queue 'ticks' are gone.*"),
    "MissingExtra": (
        lambda *_: _raise(missing_extra("top", ImportError(name="textual"))),
        r"this needs textual; install it with: pip install 'shm-exchange\[top\]'",
    ),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_an_error_says_what_why_and_what_to_do(name: str, exchange: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    raiser, text = SITUATIONS[name]
    with pytest.raises(ExchangeError, match=text) as caught:
        raiser(exchange, monkeypatch)
    assert type(caught.value).__name__ == name


def _classes() -> set[str]:
    """The public errors below ExchangeError."""
    return {name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ExchangeError) and name[0] != "_"} - {
        "ExchangeError"
    }


def test_every_error_is_in_the_catalogue_and_in_the_tree() -> None:
    assert _classes() == SITUATIONS.keys()
    assert set(re.findall(r"[├└]── (\w+)", errors.__doc__ or "")) == _classes()


def test_readme_lists_every_error() -> None:
    _, _, section = README.partition("\n## Errors\n")
    section = section.partition("\n## ")[0]
    named = {name for row in re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert named == _classes()
