"""`python -m tools.inspect_segment` within this process: enough for all that does not depend on being a program."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tools.inspect_segment.__main__ import main


def look(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What it prints; it must end well."""
    capsys.readouterr()
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def picture(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The one JSON object."""
    (line,) = look(capsys, *arguments, "--json").splitlines()
    found = json.loads(line)
    assert isinstance(found, dict)
    return found
