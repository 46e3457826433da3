"""`shm-exchange warm`: compile every kernel now, so that nothing waits for it later."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from shm_exchange.cli.look import Json

if TYPE_CHECKING:
    from shm_exchange.cli.screen import Screen


def warm(*, as_json: Json = False) -> None:
    """Fill the kernel cache and say where it is. Everything does this by itself when it starts first; images and tests want it beforehand."""
    from shm_exchange.cli.screen import Screen

    screen, started = Screen(as_json=as_json), time.monotonic()
    compiled, folder = warm_all(screen)
    seconds = time.monotonic() - started
    screen.result({"compiled": compiled, "folder": folder, "seconds": round(seconds, 3)})
    screen.show(f"{f'compiled in {seconds:.0f} s' if compiled else 'nothing to compile'}; kernels are in {folder}")


def warm_all(screen: Screen) -> tuple[bool, str]:
    """Compile what exchanges and simulated traders need; whether there was anything to do, and the folder."""
    from shm_exchange._cache import cache_folder
    from shm_exchange.cli.screen import Compiling
    from shm_exchange.runtime.warm import ensure_warm

    folder = cache_folder()
    before = _count(folder)
    with Compiling(screen) as progress:
        ensure_warm(progress)
    return _count(folder) > before, folder


def _count(folder: str) -> int:
    """Files below a folder."""
    return sum(len(files) for _, _, files in os.walk(folder))
