"""The two builds: a folder with a checkout is taken as it lies; anything else is a git revision, laid out in a temporary folder meanwhile.

What a build imports is asked of itself before it is measured: to compare a tree with an installed package by accident would say "no difference"
every time. Revisions keep their compiled kernels in the temporary folder too, so nothing of them stays.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from shm_exchange.domain.errors import ConfigError

CHECKOUT = Path(__file__).parents[2]
_WHERE = "import bench, shm_exchange; print(bench.__path__[0]); print(shm_exchange.__path__[0])"


class Tree(NamedTuple):
    """One build, ready to run."""

    given: str
    folder: Path
    revision: str | None
    kernels: Path | None  # where its compiled kernels go; None: to the usual cache

    def environment(self) -> dict[str, str]:
        """For a process that shall run this build and no other."""
        own = {"PYTHONPATH": str(self.folder)} | ({"SHM_EXCHANGE_CACHE": str(self.kernels)} if self.kernels else {})
        return {key: value for key, value in os.environ.items() if key != "SHM_EXCHANGE_CHILD"} | own

    def run(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        """`python ARGUMENTS` in this build; output as text, whatever the exit code."""
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=self.folder, env=self.environment(), capture_output=True, text=True, check=False)

    def facts(self) -> dict[str, str | None]:
        """For JSON."""
        return {"given": self.given, "folder": str(self.folder), "revision": self.revision}


@contextmanager
def trees(given_a: str, given_b: str) -> Iterator[tuple[Tree, Tree]]:
    """Both builds, each proven to import itself; revisions are gone afterwards. Raises ConfigError for what is neither folder nor revision."""
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-compare-")))
        # Names of one length: the length of a path moves the stack, and that alone can change speed.
        pair = tuple(stack.enter_context(_tree(given, temporary / name)) for name, given in (("a", given_a), ("b", given_b)))
        for tree in pair:
            _check(tree)
        yield pair[0], pair[1]


@contextmanager
def _tree(given: str, place: Path) -> Iterator[Tree]:
    if Path(given).is_dir():
        folder = Path(given).resolve()
        if not (folder / "bench" / "__main__.py").is_file():
            raise ConfigError(f"{given} is a folder without bench/__main__.py: give a checkout of shm_exchange, or a revision of this one")
        yield Tree(given, folder, _revision(folder), None)
        return
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{given}^{{commit}}").stdout.strip()
    if not commit:
        raise ConfigError(f"{given} is neither a folder nor a revision of {CHECKOUT}: give a checkout, a branch, a tag or a commit")
    added = _git("worktree", "add", "--quiet", "--detach", str(place), commit)
    try:
        if added.returncode:
            raise ConfigError(f"cannot check out {given}: {(added.stderr.strip().splitlines() or ['git says nothing'])[-1]}")
        yield Tree(given, place, commit[:12], place.with_name(place.name + "-kernels"))
    finally:
        _git("worktree", "remove", "--force", str(place))


def _check(tree: Tree) -> None:
    """Refuse a build that imports anything but itself."""
    done = tree.run(["-c", _WHERE])
    if done.returncode:
        raise ConfigError(f"{tree.given} cannot be imported: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
    for found in done.stdout.splitlines():
        if not Path(found).resolve().is_relative_to(tree.folder):
            raise ConfigError(f"{tree.given} would run {found}, which is not its own: unset whatever puts that folder first")


def _revision(folder: Path) -> str | None:
    done = subprocess.run(["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(CHECKOUT), *arguments], capture_output=True, text=True, check=False)
