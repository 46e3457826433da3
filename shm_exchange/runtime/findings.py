"""What a check found: a verdict, and what to do about it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """It runs, but slower, noisier, or without a tool."""
    PROBLEM = "problem"
    """It does not run."""


class Finding(NamedTuple):
    """One thing looked at."""

    name: str
    verdict: Verdict
    found: str
    cure: str = ""  # what to do; nothing where all is well


def ok(name: str, found: str) -> Finding:
    """All is well."""
    return Finding(name, Verdict.OK, found)


def warning(name: str, found: str, cure: str) -> Finding:
    """It costs something."""
    return Finding(name, Verdict.WARNING, found, cure)


def problem(name: str, found: str, cure: str) -> Finding:
    """It prevents running."""
    return Finding(name, Verdict.PROBLEM, found, cure)
