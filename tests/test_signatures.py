"""What users import says its types in full: nothing unsaid and no Any in a public signature."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest

import shm_exchange
from shm_exchange import client, pytest_plugin, supervisor
from shm_exchange.domain import config, enums, errors, instrument
from shm_exchange.supervisor import control, status

MODULES = (shm_exchange, client, supervisor, control, status, config, enums, errors, instrument, pytest_plugin)
SPECIAL = ("__init__", "__enter__", "__exit__", "__call__", "__new__")
VAGUE = {Any, np.ndarray, np.dtype, np.recarray, list, dict, set, tuple, Callable, Iterable, Iterator, type}
"""Types that say nothing of what they hold, when they stand alone."""


class DataFrame:
    """Stands for pandas' own, which need not be installed."""


LATER = {"DataFrame": DataFrame, "Exchange": supervisor.Exchange, "Gateway": client.Gateway, "Iterator": Iterator}
"""Names that are imported for type checkers only."""


def _public(module: ModuleType) -> dict[str, object]:
    """What a module offers: its list, or else everything of its own."""
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")]
    return {name: getattr(module, name) for name in getattr(module, "__all__", own)}


def _signatures() -> Iterator[tuple[str, Callable[..., object]]]:
    """Every public function and method, each once, also those that a class of ours inherits from another."""
    for module in MODULES:
        for name, value in _public(module).items():
            if isinstance(value, FunctionType):
                yield name, value
            if isinstance(value, type):
                for member, function in _methods(value):
                    yield f"{value.__name__}.{member}", function


def _methods(owner: type) -> Iterator[tuple[str, Callable[..., object]]]:
    for base in owner.__mro__:
        if not base.__module__.startswith("shm_exchange"):
            continue
        for name, value in vars(base).items():
            function = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
            if (
                isinstance(function, FunctionType)
                and (not name.startswith("_") or name in SPECIAL)
                and function.__module__.startswith("shm_exchange")
            ):
                yield name, function


def _is_vague(hint: object) -> bool:
    if isinstance(hint, list):
        return any(map(_is_vague, hint))
    if (hint in VAGUE) if isinstance(hint, type) or hint is Any or hint is Callable else False:
        return True
    return any(_is_vague(part) for part in typing.get_args(hint) if part is not Ellipsis and not isinstance(part, str))


def _faults(function: Callable[..., object]) -> list[str]:
    hints = typing.get_type_hints(function, localns=LATER)
    parameters = inspect.signature(function).parameters.values()
    wanted = [one.name for one in parameters if one.name not in ("self", "cls")] + ["return"]
    missing = [name for name in wanted if name not in hints and not (name == "return" and function.__name__ == "__init__")]
    return [f"{name} is not said" for name in missing] + [f"{name}: {hint}" for name, hint in hints.items() if _is_vague(hint)]


PUBLIC = dict(sorted(dict(_signatures()).items()))


def test_all_that_users_import_is_looked_at() -> None:
    for name in ("Gateway.limit", "Gateway.reports", "Exchange.spawn", "Exchange.status", "Child.result", "MarketView.frame", "EventFeed.events"):
        assert name in PUBLIC
    assert len(PUBLIC) > 100


def test_every_signature_says_its_types() -> None:
    found = [f"{name}: {fault}" for name, function in PUBLIC.items() for fault in _faults(function)]
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def test_every_field_says_its_type() -> None:
    found = []
    for module in MODULES:
        for name, value in _public(module).items():
            if isinstance(value, type) and value.__module__.startswith("shm_exchange"):
                hints = typing.get_type_hints(value, localns=LATER)
                found += [f"{name}.{field}: {hint}" for field, hint in hints.items() if not field.startswith("_") and _is_vague(hint)]
    if found:
        pytest.fail("\n".join(found), pytrace=False)


@pytest.mark.parametrize("hint", [Any, np.ndarray, dict, dict[str, Any], list[dict[str, Any]] | None, Callable[[Any], int], "list[Any]"])
def test_what_is_vague_is_found(hint: object) -> None:
    def function(argument: object) -> None: ...

    function.__annotations__["argument"] = hint
    assert _faults(function)


def test_what_is_said_in_full_is_none() -> None:
    def function(one: client.plain.Records, two: dict[str, list[int]], three: Callable[..., int] | None) -> None: ...

    assert not _faults(function)
