"""A market as people describe it: a TOML file of participants. Everything that can be wrong with it is said with its line.

exchange = "demo"             the exchange that it is for; top level: also seconds, orders (commands of each), seed

[[instrument]]                what it is traded on: made by a simulation, compared with a running exchange
symbol = "ACME"

[[participant]]
behaviour = "market_maker"    a name, module:Class or module:function
count = 4
gamma = 0.1                   parameters of the behaviour stand beside the rest
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.names import checked_exchange_name, nearest
from shm_exchange.participants.arrivals import POISSON, arrivals_of
from shm_exchange.participants.behaviour import Behaviour, parameters_of
from shm_exchange.participants.behaviours import behaviour_of, class_of
from shm_exchange.participants.description import Description, Group
from shm_exchange.participants.flows import FLOWS
from shm_exchange.participants.latency import duration_ns, latency_of

EXAMPLE = """\
# A market of processes.  First: shm-exchange run demo   Then: shm-exchange spawn market.toml   Or: … spawn market.toml --simulate
exchange = "demo"
seconds = 30
seed = 7

[[participant]]
behaviour = "zero"           # limit orders, market orders and cancels, all at random
count = 4
rate = 100                   # commands a second of each …
arrivals = "hawkes"          # … that come in clusters

[[participant]]
behaviour = "market_maker"   # Avellaneda and Stoikov
count = 2
gamma = 0.1
delay = "200us"              # how far it is from the exchange, each way
jitter = "exponential 50us"

[[participant]]
behaviour = "momentum"

[[participant]]
behaviour = "twap"
side = "sell"
quantity = 500               # lots
over = 25.0                  # seconds
"""
_TOP = {"exchange": str, "seconds": (int, float), "orders": int, "seed": int, "instrument": list, "participant": list}
_COMMON = {
    "behaviour": str,
    "count": int,
    "session": str,
    "account": str,
    "symbol": (str, list),
    "watch": (str, list),
    "rate": (int, float),
    "burst": int,
    "arrivals": str,
    "alpha": (int, float),
    "beta": (int, float),
    "delay": (str, int),
    "jitter": (str, int),
    "look": (str, int),
    "seed": int,
    "cores": list,
    "keep": bool,
}
_INSTRUMENT_KEYS = ("symbol", "tick_size", "lot_size", "min_price", "max_price")
_WORDS = {str: "a text", int: "a whole number", (int, float): "a number", list: "a list", (str, list): "a text or a list of texts"}
_WORDS |= {bool: "true or false", (str, int): "a text"}
COUNT_MAX = 1000


def read_description(path: Path) -> Description:
    """A file, checked. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; `shm-exchange spawn --example > market.toml` makes one") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    return parsed(text, str(path))


def parsed(text: str, path: str = "market.toml") -> Description:
    """The text of such a file, checked. Raises ConfigError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    lines = _Lines(text, path)
    for key, value in document.items():
        where = lines.where("", 0, key)
        _check_key(where, "key", key, _TOP)
        _check_type(where, key, value, _TOP[key])
    tables = document.get("participant", [])
    if not tables or not all(isinstance(table, dict) for table in (*tables, *document.get("instrument", []))):
        raise ConfigError(f"{path} has no participant; write [[participant]], with two brackets, and a behaviour below it")
    if "exchange" in document:
        checked_exchange_name(document["exchange"])
    seconds, orders, seed = document.get("seconds", 0), document.get("orders", 0), document.get("seed", 1)
    for key in ("seconds", "orders", "seed"):
        if key in document and (document[key] < 0 or (key != "seed" and not document[key])):
            raise ConfigError(f"{lines.where('', 0, key)}: {key} must be {'0 or more' if key == 'seed' else 'above 0'}, not {document[key]!r}")
    instruments = tuple(_instrument(lines, number, table) for number, table in enumerate(document.get("instrument", [])))
    groups = tuple(_group(lines, number, table) for number, table in enumerate(tables))
    made = Description(path, document.get("exchange"), float(seconds), orders, seed, instruments, groups)
    if made.participants > COUNT_MAX:
        raise ConfigError(f"{path} has {made.participants} participants; {COUNT_MAX} is the most")
    return made


class _Lines:
    """Where things stand in the text: the parser does not say."""

    def __init__(self, text: str, path: str) -> None:
        self._lines, self.path = text.splitlines(), path

    def number(self, table: str, index: int, key: str) -> int:
        """Of a key in the `index`-th [[table]] ("" = before any table); of the table where the key is not found; 0 where neither is."""
        inside, seen, found = not table, -1, 0
        for number, line in enumerate(self._lines, 1):
            if header := re.match(r"\s*\[\[?\s*([\w.-]+)\s*\]\]?", line):
                seen += header[1] == table
                inside = bool(table) and header[1] == table and seen == index
                found = number if inside or (not table and header[1] == key and not found) else found
            elif inside and re.match(rf"""\s*["']?{re.escape(key)}["']?\s*=""", line):
                return number
        return found

    def where(self, table: str, index: int, key: str) -> str:
        """Such as "market.toml:12"."""
        number = self.number(table, index, key)
        return f"{self.path}:{number}" if number else self.path


def _check_key(where: str, what: str, key: str, known: Iterable[str]) -> None:
    if key not in known:
        raise ConfigError(f"{where}: there is no {what} {key!r}{nearest(key, known)}; known are {', '.join(known)}")


def _check_type(where: str, key: str, value: object, wanted: Any) -> None:
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise ConfigError(f"{where}: {key} must be {_WORDS[wanted]}, not {value!r}")


def _instrument(lines: _Lines, number: int, table: dict[str, Any]) -> Instrument:
    for key in table:
        _check_key(lines.where("instrument", number, key), "key of [[instrument]]", key, _INSTRUMENT_KEYS)
    if "symbol" not in table:
        raise ConfigError(f'{lines.where("instrument", number, "")}: an [[instrument]] has no symbol; add symbol = "…"')
    given: dict[str, Any] = {key: value if isinstance(value, int) else str(value) for key, value in table.items()}
    return Instrument(**given)


def _group(lines: _Lines, number: int, table: dict[str, Any]) -> Group:
    """One [[participant]], down to its behaviour, which is made once to see that it can be."""
    line = lines.number("participant", number, "")
    if "behaviour" not in table:
        raise ConfigError(f'{lines.where("participant", number, "")}: a [[participant]] has no behaviour; add behaviour = "…"')
    _check_type(lines.where("participant", number, "behaviour"), "behaviour", table["behaviour"], str)
    given = {key: value for key, value in table.items() if key not in _COMMON}
    for key in table.keys() & _COMMON.keys():
        _check_type(lines.where("participant", number, key), key, table[key], _COMMON[key])
    name = table["behaviour"]
    try:
        kind = class_of(name)
        for key in given:
            _check_parameter(lines.where("participant", number, key), name, kind, key)
        behaviour_of(name, given)
        return _made(line, name, given, table)
    except ConfigError as error:
        said = str(error)
        if said.startswith(lines.path):
            raise
        blamed = next((key for key in table if said.startswith(f"{key} ") or f"{key!r}" in said or repr(table[key]) in said), "behaviour")
        raise ConfigError(f"{lines.where('participant', number, blamed)}: {said}") from None


def _check_parameter(where: str, name: str, kind: type[Behaviour] | None, key: str) -> None:
    """Name what is neither a key of every participant nor a parameter of this behaviour, where that can be known."""
    if kind is None and name not in FLOWS:
        return
    own = [field.name for field in parameters_of(kind)] if kind is not None else []
    if key not in own:
        takes = f"{name} has {', '.join(own)}" if own else f"{name} has none of its own"
        raise ConfigError(f"{where}: there is no key {key!r}{nearest(key, (*own, *_COMMON))}; {takes}, and all have {', '.join(_COMMON)}")


def _made(line: int, name: str, given: dict[str, object], table: dict[str, Any]) -> Group:
    count, rate, burst = table.get("count", 1), table.get("rate", 0.0), table.get("burst", 1)
    if not 1 <= count <= COUNT_MAX:
        raise ConfigError(f"count must be from 1 to {COUNT_MAX}, not {count}")
    if "rate" in table and not 0 < rate <= 1e6:
        raise ConfigError(f"rate must be above 0 and at most 1,000,000 a second, not {rate:g}")
    if burst < 1:
        raise ConfigError(f"burst has at least 1 command, not {burst}")
    if not rate and (needing := next((key for key in ("burst", "arrivals", "alpha", "beta") if key in table), None)):
        raise ConfigError(f"{needing} says how a rate is spread, and there is none; add rate = …")
    if not rate and name in FLOWS:
        raise ConfigError(f"behaviour {name!r} is a flow and needs rate = …, its commands a second")
    watched = _texts("watch", table.get("watch", ()))
    if getattr(class_of(name), "needs_watch", False) and not watched:
        raise ConfigError(f'watch is missing: {name} follows the price of another symbol; add watch = "SYMBOL", or "SYMBOL@EXCHANGE"')
    cores = table.get("cores", [])
    if not all(isinstance(core, int) and not isinstance(core, bool) and core >= 0 for core in cores):
        raise ConfigError(f"cores must be a list of whole numbers, not {cores!r}")
    if table.get("seed", 0) < 0:
        raise ConfigError(f"seed must be 0 or more, not {table['seed']}")
    return Group(
        line=line,
        behaviour=name,
        parameters=given,
        count=count,
        session=table.get("session"),
        account=table.get("account"),
        symbols=_texts("symbol", table.get("symbol", ())),
        watched=watched,
        rate=float(rate),
        burst=burst,
        arrivals=arrivals_of(table.get("arrivals", "poisson"), table.get("alpha"), table.get("beta")) if rate else POISSON,
        latency=latency_of(table.get("delay", 0), table.get("jitter", 0)),
        look_ns=max(1, duration_ns(table["look"])) if "look" in table else None,
        seed=table.get("seed"),
        cores=tuple(cores),
        keep=table.get("keep", False),
    )


def _texts(key: str, given: object) -> tuple[str, ...]:
    """One text, or a list of them."""
    texts = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, (list, tuple)) else (given,)
    if not all(isinstance(text, str) and text for text in texts):
        raise ConfigError(f"{key} must be a text or a list of texts, not {given!r}")
    return texts
