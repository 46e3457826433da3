"""Functions of the user by their names, module:qualname: how they travel to a process that never runs the caller's script."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from shm_exchange.domain.errors import ConfigError


def function_name(function: Callable[..., object] | str) -> str:
    """The name under which another process can import a function. Raises ConfigError with one line that says what to do."""
    if isinstance(function, str):
        module, _, qualname = function.partition(":")
    else:
        module, qualname = getattr(function, "__module__", None) or "", getattr(function, "__qualname__", "")
    if not module or not qualname:
        raise ConfigError(f'cannot spawn {function!r}: it is no function of a module; pass a function, or its name as "module:function"')
    if module == "__main__" or "<" in qualname:
        where = "inside another function, or is a lambda" if "<" in qualname else "in the script, notebook or prompt itself (__main__)"
        raise ConfigError(
            f"cannot spawn {qualname}: it is defined {where}, and another process cannot import it from there; "
            "move it to the top of a module, for example traders.py, and import it from there"
        )
    try:
        found = imported(f"{module}:{qualname}")
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"cannot spawn {module}:{qualname}: another process cannot import it ({error}); put it into a module on sys.path"
        ) from error
    if not callable(found) or (not isinstance(function, str) and found != function):
        raise ConfigError(f"cannot spawn {module}:{qualname}: that name means something else there ({found!r}); spawn what the name means")
    return f"{module}:{qualname}"


def imported(name: str) -> Any:
    """What "module:qualname" means. Raises ImportError, AttributeError."""
    module, _, qualname = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    return found
