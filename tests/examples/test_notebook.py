"""Notebooks: the tour runs as it stands; cells run again; interrupts, restarts and ends leave nothing behind."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, Self

import pytest

from shm_exchange import examples
from shm_exchange.runtime import pidfd
from shm_exchange.runtime.warm import ensure_warm
from shm_exchange.shm import exchanges
from tests.litmus.waiting import await_that

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
manager = pytest.importorskip("jupyter_client.manager")

FOLDER = Path(examples.__file__).parent
PATIENCE = 120
# What the tools of notebooks themselves leave unsaid or unclosed is none of our business.
pytestmark = [pytest.mark.filterwarnings("default::DeprecationWarning"), pytest.mark.filterwarnings("default::ResourceWarning")]
_numbers = count(1)

START = """
from shm_exchange import Exchange, Gateway, Instrument, MarketView, Side
exchange = Exchange.start("{name}", [Instrument("ACME")], max_sessions=2)
"""
TRADE = """
alice = Gateway.attach("{name}", session="alice")
alice.limit("ACME", Side.BUY, "9.99", 5)
kinds = []
while "ACCEPTED" not in kinds:  # a session that comes back is told of its leaving first
    assert alice.wait(60)
    kinds += [report.kind.name for report in alice.poll()]
assert MarketView.attach("{name}", "ACME").best_bid().quantity >= 5
"""
PIDS = """status = exchange.status(); print(status["matcher_pid"], status["supervisor_pid"])"""


@pytest.fixture
def name() -> str:
    return f"nb{os.getpid()}-{next(_numbers)}"


class Kernel:
    """A real kernel, and what it says."""

    def __init__(self, folder: Path) -> None:
        ensure_warm()
        self._errors = (folder / "stderr").open("w+")
        self._manager = manager.KernelManager(kernel_name="python3", transport="ipc", connection_file=str(folder / "kernel.json"))
        path = os.pathsep.join((str(FOLDER.parents[1]), os.environ.get("PYTHONPATH", "")))
        self._manager.start_kernel(env=os.environ | {"PYTHONPATH": path, "IPYTHONDIR": str(folder)}, stderr=self._errors, stdout=subprocess.DEVNULL)
        self._connect()

    def _connect(self) -> None:
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(PATIENCE)

    def run(self, cell: str) -> str:
        """Run a cell to its end; what it printed, and the name of its error if it had one."""
        said: list[str] = []

        def hear(message: dict[str, Any]) -> None:
            content = message["content"]
            said.append(content.get("text", "") or content.get("ename", "") if message["msg_type"] in ("stream", "error") else "")

        self._client.execute_interactive(cell, timeout=PATIENCE, output_hook=hear)
        return "".join(said)

    def begin(self, cell: str, first_words: str) -> str:
        """Begin a cell, and return once it has said these words; the message that will be answered."""
        number: str = self._client.execute(cell)
        while first_words not in self._client.get_iopub_msg(timeout=PATIENCE)["content"].get("text", ""):
            continue
        return number

    def end_of(self, number: str) -> str:
        """How a cell that was begun ended: the name of its error, or nothing."""
        while (message := self._client.get_shell_msg(timeout=PATIENCE))["parent_header"].get("msg_id") != number:
            continue
        return str(message["content"].get("ename", ""))

    def processes(self) -> dict[int, int]:
        """Handles of matcher and supervisor, taken while they live."""
        return pidfd.open_pidfds({int(pid) for pid in self.run(PIDS).split()})

    def interrupt(self) -> None:
        self._manager.interrupt_kernel()

    def restart(self) -> None:
        """As the button does when the kernel does not answer: SIGKILL, and a new one."""
        self._client.stop_channels()
        self._manager.restart_kernel(now=True)
        self._connect()

    def shut_down(self) -> str:
        """End it as the menu does; all that it ever wrote on standard error."""
        self._client.stop_channels()
        self._manager.shutdown_kernel()
        self._errors.seek(0)
        return self._errors.read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop_channels()
        if self._manager.has_kernel:
            self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()
        self._errors.close()


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(tmp_path) as kernel:
        yield kernel


def expect_ends(processes: dict[int, int]) -> None:
    for pid, handle in processes.items():
        assert pidfd.has_ended(handle, PATIENCE), f"process {pid} still runs"
        os.close(handle)


def await_no_files(name: str) -> None:
    await_that(lambda: name not in [info.name for info in exchanges()], f"the files of {name} go")


def test_the_tour_runs_as_it_stands(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    ensure_warm()
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parents[1]))
    notebook = nbformat.read(FOLDER / "tour.ipynb", 4)
    for cell in notebook.cells:
        cell["source"] = cell["source"].replace('"tour"', f'"{name}"')
        assert len(cell["source"].splitlines()) <= 10, "cells are short"
    nbclient.NotebookClient(notebook, timeout=PATIENCE, kernel_name="python3").execute()
    outputs = [str(output) for cell in notebook.cells for output in cell.get("outputs", ())]
    for words in ("EXECUTED ACME", "<table", "bid_quantity", "RestingOrder", "True 3"):
        assert any(words in output for output in outputs), words
    await_no_files(name)


def test_the_tour_is_stored_with_what_it_shows() -> None:
    cells = [cell for cell in nbformat.read(FOLDER / "tour.ipynb", 4).cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]


@pytest.mark.long
def test_a_notebook_day(kernel: Kernel, name: str) -> None:
    """Start, trade, run the cells again, interrupt, restart the kernel, run them again, end: no orphan, no name taken, no BufferError."""
    cells = START.format(name=name), TRADE.format(name=name)
    assert [kernel.run(cell) for cell in cells] == ["", ""]
    processes = kernel.processes()
    assert kernel.run(cells[1]) == "", "a gateway gives way to its successor"
    assert [kernel.run(cell) for cell in cells] == ["", ""], "and so does an exchange"
    expect_ends(processes)

    waiting = kernel.begin("print('waiting', flush=True)\nalice.wait()", "waiting")
    kernel.interrupt()
    assert kernel.end_of(waiting) == "KeyboardInterrupt"
    assert kernel.run("alice.cancel(1); assert alice.wait(60); alice.poll(); print(exchange.verify().holds)") == "True\n"

    processes = kernel.processes()
    kernel.restart()
    expect_ends(processes)
    assert [kernel.run(cell) for cell in cells] == ["", ""]
    processes = kernel.processes()
    assert "Error" not in kernel.shut_down()
    expect_ends(processes)
    await_no_files(name)
