"""Our own programs as children: what they inherit, and memory that keeps what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shm_exchange.domain.errors import ConfigError
from shm_exchange.runtime.launch import environment, launch, memory_bytes, memory_file, memory_text


def test_a_child_imports_what_its_parent_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "only_here.py").write_text("import os, sys; print(os.getsid(0) == os.getpid(), os.environ['OMP_NUM_THREADS'], sys.argv[1])")
    monkeypatch.syspath_prepend(tmp_path)
    child = launch("only_here", ["word"], stdout=subprocess.PIPE)
    assert child.communicate()[0].split() == [b"True", b"1", b"word"]


def test_an_empty_entry_of_the_path_is_the_working_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["", "relative", "/with:colon", *sys.path])
    path = environment()["PYTHONPATH"].split(":")
    assert path[:2] == [str(Path.cwd()), str(Path.cwd() / "relative")]
    assert "/with" not in path


def test_a_child_inherits_no_other_descriptor() -> None:
    inherited, memory = memory_file("inherited"), memory_file("not inherited")
    os.set_inheritable(memory, True)
    child = launch("timeit", ["-n1", "-r1", f"import os; os.fstat({inherited}); os.fstat({memory})"], stderr=subprocess.PIPE, pass_fds=[inherited])
    assert b"Bad file descriptor" in child.communicate()[1]
    for fd in (inherited, memory):
        os.close(fd)


def test_memory_files() -> None:
    memory = memory_file("words", b"some words\n")
    assert memory_bytes(memory) == b"some words\n"
    assert memory_text(memory) == "some words"
    os.pwrite(memory, b"\xff" * 70_000 + b"the end", 0)
    assert memory_text(memory).endswith("the end")
    assert len(memory_text(memory)) == 65_536
    os.close(memory)


def test_an_embedded_python_cannot_start_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(ConfigError, match="embedded"):
        launch("timeit")
