"""Throw-away virtual environments: made for one engine, gone with it. What cannot be installed becomes a sentence, never an error of ours."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INSTALL_SECONDS = 300
_PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")
_NO_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeout|Temporary failure|Name or service not known|Network is unreachable|ProxyError", re.IGNORECASE
)
_NOT_BUILT = re.compile(r"Failed to build|error: subprocess-exited-with-error|metadata-generation-failed", re.IGNORECASE)
_NOT_FOUND = re.compile(r"No matching distribution|Could not find a version", re.IGNORECASE)


class Unavailable(Exception):
    """An engine cannot run here; the text says why."""


@contextmanager
def environment(requirement: str | None) -> Iterator[str]:
    """The interpreter of an environment with nothing but the requirement in it; this interpreter where None is required. Raises Unavailable.

    A wheel where there is one; what has to be built here needs a compiler, and without one becomes unavailable.
    """
    if requirement is None:
        yield sys.executable
        return
    with tempfile.TemporaryDirectory(prefix="bench-peer-") as folder:
        _must([sys.executable, "-m", "venv", "--without-pip", folder], "no virtual environment could be made")
        python = str(Path(folder) / "bin" / "python")
        command = [sys.executable, *_PIP, "--python", python, "install", "--quiet", "--prefer-binary", "--retries", "1", requirement]
        _must(command, f"{requirement} could not be installed")
        yield python


def _must(command: list[str], problem: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{problem}: it took more than {INSTALL_SECONDS} s") from None
    if done.returncode:
        raise Unavailable(f"{problem}: {reason(done.stderr)}")


def reason(said: str) -> str:
    """Why pip or venv failed, in words."""
    if _NO_NETWORK.search(said):
        return "no network"
    if _NOT_FOUND.search(said):
        return "no release of it for this Python and machine"
    if _NOT_BUILT.search(said):
        return "no wheel of it for this Python and machine, and it could not be built here"
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("WARNING")]
    return lines[-1] if lines else "it said nothing"
