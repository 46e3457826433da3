"""The one gate, for people and for CI: `python -m tools.check`.

    format  lint  types  imports      ruff, ruff, mypy, import-linter
    tests                             everything, compiled
    interpreted                       the pure rooms with the JIT off: what the kernels mean, without a compiler
    boundscheck                       the rooms of kernels with every index checked

Each mode of the tests has a kernel cache of its own below build/, because numba's cache does not know them apart.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
CODE = ("shm_exchange", "bench", "tools", "tests")
PURE_ROOMS = ("tests/engine", "tests/ring", "tests/snapshot", "tests/domain", "tests/layout")
KERNEL_ROOMS = ("tests/engine", "tests/ring", "tests/snapshot")

NO_TESTS = 5  # how pytest ends that found nothing to run


class Outcome(NamedTuple):
    """How one step ended."""

    step: str
    passed: bool
    seconds: float
    note: str


def _tool(name: str, *arguments: str) -> list[str]:
    """A command of the very environment that runs us."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        sys.exit(f"{name} is not installed beside {sys.executable}; run: {sys.executable} -m pip install -e '.[dev]'")
    return [str(path), *arguments]


def _existing(folders: tuple[str, ...]) -> list[str]:
    return [folder for folder in folders if (ROOT / folder).is_dir()]


def _run(command: list[str], environment: Mapping[str, str] | None = None) -> int:
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def _lint() -> tuple[bool, str]:
    return not _run(_tool("ruff", "check", "--quiet")), ""


def _format() -> tuple[bool, str]:
    passed = not _run(_tool("ruff", "format", "--check", "--quiet"))
    return passed, "" if passed else "`ruff format` repairs it"


def _types() -> tuple[bool, str]:
    return not _run(_tool("mypy", *_existing(CODE))), ""


def _imports() -> tuple[bool, str]:
    return not _run(_tool("lint-imports", "--no-logo")), ""


def _tests(mode: str, folders: tuple[str, ...] = (), **switches: str) -> tuple[bool, str]:
    """Run the tests of `folders` (all by default) in one mode of the kernels."""
    present = _existing(folders)
    missing = [folder for folder in folders if folder not in present]
    note = f"no {', '.join(missing)} yet" if missing else ""
    if folders and not present:
        return True, note
    environment = {name: value for name, value in os.environ.items() if name not in ("NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK")}
    environment |= {"SHM_EXCHANGE_CACHE": str(ROOT / "build" / "kernels" / mode), **switches}
    code = _run([sys.executable, "-m", "pytest", "-q", *present], environment)
    return code in (0, NO_TESTS), "no tests yet" if code == NO_TESTS else note


STEPS: dict[str, Callable[[], tuple[bool, str]]] = {
    "format": _format,
    "lint": _lint,
    "types": _types,
    "imports": _imports,
    "tests": lambda: _tests("compiled"),
    "interpreted": lambda: _tests("interpreted", PURE_ROOMS, NUMBA_DISABLE_JIT="1"),
    "boundscheck": lambda: _tests("boundscheck", KERNEL_ROOMS, NUMBA_BOUNDSCHECK="1"),
}
TESTS = ("tests", "interpreted", "boundscheck")


def _take(step: str) -> Outcome:
    print(f"── {step}", flush=True)
    started = time.monotonic()
    passed, note = STEPS[step]()
    return Outcome(step, passed, time.monotonic() - started, note)


def main() -> int:
    """Take the steps that were asked for; 1 where any failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.check", description="The one gate: style, types, imports, and tests in three modes.")
    parser.add_argument("--fast", action="store_true", help="skip the tests")
    parser.add_argument("--only", action="append", choices=STEPS, metavar="STEP", help=f"take this step alone (repeatable): {', '.join(STEPS)}")
    arguments = parser.parse_args()
    chosen = [step for step in STEPS if (not arguments.only or step in arguments.only) and not (arguments.fast and step in TESTS)]
    outcomes = [_take(step) for step in chosen]
    print("── summary")
    for outcome in outcomes:
        print(f"{'ok  ' if outcome.passed else 'FAIL'} {outcome.step:<12}{outcome.seconds:7.1f} s  {outcome.note}".rstrip())
    failed = [outcome.step for outcome in outcomes if not outcome.passed]
    print(f"failed: {', '.join(failed)}" if failed else "all passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
