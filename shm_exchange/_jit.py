"""The one `@kernel` decorator: every compiled function of the project is made here.

A kernel is a verb on a bundle of arrays. It never raises, allocates, logs or takes a lock; it returns counts and codes. Kernels are compiled
without numba's runtime (`_nrt=False`): code that would allocate does not compile, and arrays passed around cost no reference counts, which were
nine tenths of the matching time before. Three modes, each with
a cache folder of its own, because numba's cache key knows neither switch: compiled (the default), interpreted (`NUMBA_DISABLE_JIT=1`, for
coverage and debuggers) and bounds-checked (`NUMBA_BOUNDSCHECK=1`).

The cache lives in one folder that `cache_folder` chooses and checks, whether or not the caller imported numba before us:
`config.CACHE_DIR` is set only while our own functions are being decorated, so that a user's kernels stay where they were.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numba import config, njit

from shm_exchange._cache import cache_folder

F = TypeVar("F", bound=Callable[..., object])

INTERPRETED = bool(config.DISABLE_JIT)
if INTERPRETED:
    np.seterr(over="ignore")  # machine words wrap silently, and hashes count on it
BOUNDS_CHECKED = os.environ.get("NUMBA_BOUNDSCHECK", "0") not in ("", "0")

if TYPE_CHECKING:

    def kernel(function: F) -> F:
        """Compile `function` and cache it on disk; callable from Python and from other kernels."""

    def inlined(function: F) -> F:
        """Like `kernel`, but always inlined into its caller: for the small verbs of the hot path."""

    def freeze(function: F) -> None:
        """Compile `function` for no further types: arguments are converted to those it knows, or refused."""

else:

    def _compile(function, **options):
        if INTERPRETED:
            return function
        outside, config.CACHE_DIR = config.CACHE_DIR, cache_folder()
        try:
            return njit(cache=True, nogil=True, error_model="numpy", _nrt=False, **options)(function)
        finally:
            config.CACHE_DIR = outside

    def kernel(function):
        return _compile(function)

    def inlined(function):
        return _compile(function, forceinline=True)

    def freeze(function):
        if not INTERPRETED:
            function.disable_compile()
