"""`shm-exchange warm`: compile every kernel now, so that nothing waits for it later."""

from __future__ import annotations

import time

from shm_exchange.cli.look import Json


def warm(*, as_json: Json = False) -> None:
    """Fill the kernel cache and say where it is. Everything does this by itself when it starts first; images and tests want it beforehand."""
    from shm_exchange._cache import cache_folder
    from shm_exchange.cli.screen import Compiling, Screen
    from shm_exchange.supervisor.warm import ensure_warm

    screen, started = Screen(as_json=as_json), time.monotonic()
    with Compiling(screen) as progress:
        compiled = ensure_warm(progress)
    seconds = time.monotonic() - started
    screen.result({"compiled": compiled, "folder": cache_folder(), "seconds": round(seconds, 3)})
    screen.show(f"{f'compiled in {seconds:.0f} s' if compiled else 'nothing to compile'}; kernels are in {cache_folder()}")
