"""What the command lines of our roles, matcher and keeper, have in common: where they run, and with whom they end."""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import sys

from shm_exchange.shm.root import SHM_DIR

_PR_SET_PDEATHSIG = 1


def role_parser(role: str, description: str) -> argparse.ArgumentParser:
    """NAME, --directory, --core."""
    parser = argparse.ArgumentParser(prog=f"python -m shm_exchange.{role}", description=description)
    parser.add_argument("name")
    parser.add_argument("--directory", default=SHM_DIR, help="where its files lie")
    parser.add_argument("--core", type=int, help="pin to this core")
    return parser


def end_with(parent: int) -> None:
    """Ask the kernel for SIGTERM when our parent dies. It may have died before we asked, even before we began: so it says itself who it is."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit("the supervisor died before we were ready")


def outlive_parent() -> None:
    """Go on when our parent dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, 0)


def say_error(error: Exception) -> None:
    """One JSON line to whoever started us, and the same on standard error, for one who no longer waits for it."""
    sys.stderr.write(f"{error}\n")
    sys.stdout.write(json.dumps({"error": str(error)}) + "\n")
    sys.stdout.flush()
