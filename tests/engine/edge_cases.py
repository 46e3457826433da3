"""The public referee's edge cases, in its own words: its messages become our commands, our outputs its canonical report lines.

One line a message, with the report lines it must lead to: `buy 4 20 @ 100 ioc` is order 4, of 20 lots. Ids are client order ids here: the
referee uses them again once the order is gone. Its modify is our REPLACE with REINSERT.
"""

from __future__ import annotations

from dataclasses import dataclass

from shm_exchange._jit import INTERPRETED
from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.enums import CommandKind, EventKind, Flag, OrderType, SelfTradePrevention, Side, TimeInForce
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.names import name_words
from tests.engine.table import read_tables
from tests.oracle.messages import Command, Outputs

DEEP = 200 if INTERPRETED else 5000
CONFIG = ExchangeConfig(
    name="referee", instruments=(Instrument("X", tick_size="1"),), max_sessions=1, max_orders=8192, report_capacity=16_384, event_capacity=16_384
)
SESSION = 1
LOGON = Command(SESSION << 40 | 1, *name_words("referee"), *name_words("referee"), kind=CommandKind.LOGON)


@dataclass(frozen=True)
class EdgeCase:
    """Messages, and what the referee expects them to lead to."""

    commands: list[Command]
    expected: list[str]


def edge_cases() -> dict[str, EdgeCase]:
    """All of them, by the referee's names; the deep sweep is the one that is generated."""
    cases = {name: _case(text) for name, text in read_tables("edge_cases.txt").items()}
    return cases | {"deep_recursive_sweep_5000": _deep_sweep(DEEP)}


def _case(text: str) -> EdgeCase:
    lines = [line.split("  ", 1) for line in text.splitlines() if line]
    commands = [_command(sequence, line[0].split()) for sequence, line in enumerate(lines)]
    return EdgeCase(commands, [report for _, *reports in lines for report in " ".join(reports).split()])


def _deep_sweep(orders: int) -> EdgeCase:
    """So many orders of one lot at one price, and one that takes them all."""
    words = [*(["sell", str(number), "1", "@", "100"] for number in range(1, orders + 1)), ["buy", str(orders + 1), str(orders), "@", "100", "ioc"]]
    expected = [f"0,{number},1,{number + 1},100,1" for number in range(orders)] + [f"0,{orders},0,{orders + 1},100,{orders}"]
    trades = [f"1,{orders},100,1,{number},{orders + 1}" for number in range(1, orders + 1)]
    return EdgeCase([_command(sequence, line) for sequence, line in enumerate(words)], expected + trades)


def _command(sequence: int, words: list[str]) -> Command:
    command_id = SESSION << 40 | sequence + 2
    if words[0] == "cancel":
        return Command(command_id, client_order_id=int(words[1]), kind=CommandKind.CANCEL)
    if words[0] == "modify":
        new = _command(sequence, words[1:])
        return Command(
            command_id,
            client_order_id=new.client_order_id,
            price_ticks=new.price_ticks,
            quantity=new.quantity,
            kind=CommandKind.REPLACE,
            self_trade=SelfTradePrevention.NONE,
            modifiers=int(Flag.REINSERT),
        )
    return Command(
        command_id,
        client_order_id=int(words[1]),
        price_ticks=int(words[4]),
        quantity=int(words[2]),
        kind=CommandKind.ENTER,
        side=Side[words[0].upper()],
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.IOC if words[-1] == "ioc" else TimeInForce.GTC,
        self_trade=SelfTradePrevention.NONE,
    )


class Referee:
    """Writes the canonical lines of what an exchange says about one message after the other."""

    def __init__(self) -> None:
        self.ids: dict[int, int] = {}

    def lines(self, sequence: int, command: Command, outputs: Outputs) -> list[str]:
        """Sorted by type, as the canonical text is."""
        written: list[str] = []
        for report in outputs.reports[SESSION]:
            self.ids[report.order_id] = report.client_order_id
            if report.kind == EventKind.REJECTED:
                written.append(f"{4 if command.kind == CommandKind.CANCEL else 5},{sequence},{report.client_order_id}")
        for event in outputs.events:
            side, order, what = event.side - 1, self.ids[event.order_id], f"{event.price_ticks},{event.quantity}"
            if event.kind == EventKind.EXECUTED:
                written.append(f"1,{sequence},{what},{self.ids[event.resting_order_id]},{order}")
            elif event.kind == EventKind.CANCELED:
                written.append(f"2,{sequence},{side},{order},{event.price_ticks}")
            else:
                written.append(f"{0 if event.kind == EventKind.ACCEPTED else 3},{sequence},{side},{order},{what}")
        return sorted(written, key=lambda line: line[0])
