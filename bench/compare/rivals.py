"""Two builds side by side: a process of each, that take turns of milliseconds on one core, so that both see the same weather.

A round is a fresh pair of processes (where their memory lies differs, and with it their speed) and many turns, A B, B A, …; what counts of a round is
the median of the ratios of neighbouring turns. This finds differences that runs of seconds, one after the other, cannot find on a busy machine.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.compare.runs import Progress, Rounds
from bench.compare.trees import Tree
from bench.pair import cores
from shm_exchange.domain.errors import ConfigError

WORKER = Path(__file__).with_name("engine_worker.py")
TURNS = 60
"""Of each build in a round; even, so that each begins as often as the other."""


def side_by_side(a: Tree, b: Tree, rounds: int, messages: int, tell: Progress) -> Rounds:
    """Nanoseconds of a turn, a figure a round of each build. Raises ConfigError with what a worker said last."""
    for name, tree in (("A", a), ("B", b)):
        tell(f"warming {name} ({tree.given}): compiles its kernels if it must")
        with _worker(tree, messages):
            pass
    made = Rounds([], [], 0)
    for number in range(rounds):
        order = (a, b) if number % 2 == 0 else (b, a)
        with ExitStack() as stack:
            workers = {tree: stack.enter_context(_worker(tree, messages)) for tree in order}
            pairs = [_turns(workers[a], workers[b], turn % 2 == 0) for turn in range(TURNS)]
        figure_a = statistics.median(one for one, _ in pairs)
        ratio = statistics.median(other / one for one, other in pairs)
        made.a.append(figure_a)
        made.b.append(figure_a * ratio)
        tell(f"round {number + 1} of {rounds}: A {figure_a / 1e6:.2f} ms a turn, B {ratio:.3f} x that")
    return made


def _turns(a: subprocess.Popen[str], b: subprocess.Popen[str], a_first: bool) -> tuple[int, int]:
    """One turn of each."""
    if a_first:
        return _turn(a), _turn(b)
    other = _turn(b)
    return _turn(a), other


def _turn(worker: subprocess.Popen[str]) -> int:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write("go\n")
    worker.stdin.flush()
    return int(worker.stdout.readline())


@contextmanager
def _worker(tree: Tree, messages: int) -> Iterator[subprocess.Popen[str]]:
    """A worker of one build, ready; it ends with the block."""
    command = [sys.executable, "-P", str(WORKER), str(messages), str(cores()[1])]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tree.folder, env=tree.environment(), text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            if process.stdout.readline() != "ready\n":
                last = (process.stderr.read().strip().splitlines() or ["it said nothing"])[-1]
                raise ConfigError(f"the engine of {tree.given} cannot be measured: {last}")
            yield process
        finally:
            process.kill()
