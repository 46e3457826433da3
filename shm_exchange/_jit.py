"""The one `@kernel` decorator: every compiled function of the project is made here.

A kernel is a verb on a bundle of arrays. It never raises, allocates, logs or takes a lock; it returns counts and codes. Kernels are compiled
without numba's runtime (`_nrt=False`): code that would allocate does not compile, and arrays passed around cost no reference counts, which were
nine tenths of the matching time before. Three modes, each with
a cache folder of its own, because numba's cache key knows neither switch: compiled (the default), interpreted (`NUMBA_DISABLE_JIT=1`, for
coverage and debuggers) and bounds-checked (`NUMBA_BOUNDSCHECK=1`).

The cache lives in one folder that `cache_folder` chooses and checks, whether or not the caller imported numba before us:
`config.CACHE_DIR` is set only while our own functions are being decorated, so that a user's kernels stay where they were.

Of processes that miss the same kernel in the cache one compiles it, under a lock of the folder, and the others load it then. So many that start
with a cold cache take as long as one, whatever they call first; `runtime.warm` does the same for all kernels at once, and says how far it is.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numba import config, njit
from numba.core.caching import FunctionCache
from numba.core.compiler_lock import global_compiler_lock

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

    def load_cached(function: F) -> int:
        """Load now what the cache holds for `function`, for all types; returns how many. A process that forks does it once for all its children."""

else:

    def _compile(function, **options):
        if INTERPRETED:
            return function
        outside, config.CACHE_DIR = config.CACHE_DIR, cache_folder()
        try:
            dispatcher = njit(nogil=True, error_model="numpy", _nrt=False, **options)(function)
            dispatcher._cache = _SharedCache(function)  # noqa: SLF001 (what cache=True does, with a cache of ours)
        finally:
            config.CACHE_DIR = outside
        dispatcher.compile = _locked_after_a_miss(dispatcher.compile)
        return dispatcher

    class _CompileLock:
        """The lock of the cache folder, while this process compiles. Caller: holds numba's own lock, so one thread at a time."""

        _fd = -1

        @property
        def held(self):
            return self._fd >= 0

        def acquire(self):
            self._fd = os.open(os.path.join(cache_folder(), "compile.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)  # noqa: PTH118
            fcntl.flock(self._fd, fcntl.LOCK_EX)

        def release(self):
            fd, self._fd = self._fd, -1
            if fd >= 0:
                fcntl.flock(fd, fcntl.LOCK_UN)  # a child forked meanwhile has the descriptor too
                os.close(fd)

    _lock = _CompileLock()

    class _SharedCache(FunctionCache):
        """Who misses something takes the lock and looks again: it may be there now."""

        def load_overload(self, sig, target_context):
            found = super().load_overload(sig, target_context)
            if found is None and not _lock.held:
                _lock.acquire()
                found = super().load_overload(sig, target_context)
            return found

    def _locked_after_a_miss(compile_one):
        def compile_shared(signature):
            with global_compiler_lock:
                nested = _lock.held
                try:
                    return compile_one(signature)
                finally:
                    if not nested:
                        _lock.release()

        return compile_shared

    def kernel(function):
        return _compile(function)

    def inlined(function):
        return _compile(function, forceinline=True)

    def freeze(function):
        if not INTERPRETED:
            function.disable_compile()

    def load_cached(function):
        if INTERPRETED:
            return 0
        signatures = [key[0] for key in function._cache._cache_file._load_index()]  # noqa: SLF001 (numba has no public way)
        for signature in signatures:
            function.compile(signature)
        return len(signatures)
