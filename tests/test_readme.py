"""What README shows runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text()


def _block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_prints_what_its_comments_say(tmp_path):
    program = tmp_path / "hello.py"
    program.write_text(_block("python").replace('"hello"', f'"hello-{os.getpid()}"'))
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for expected in ("ACCEPTED", "EXECUTED", "Decimal('99.50')", "Decimal('60')", "participant='alice'"):
        assert expected in done.stdout


def test_the_configuration_file_is_one_that_run_takes(tmp_path):
    path = tmp_path / "exchange.toml"
    path.write_text(_block("toml"))
    done = subprocess.run([sys.executable, "-m", "shm_exchange", "run", path, "--print-config"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed, written = tomllib.loads(done.stdout), tomllib.loads(path.read_text())
    assert printed["exchange"].items() >= written["exchange"].items()
    assert printed["instrument"][0].items() >= written["instrument"][0].items()
