"""What cannot be said exactly is refused where it is said, in words, and nothing is sent."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from shm_exchange import Gateway, Side
from shm_exchange.domain.errors import ConfigError, ExchangeNotFound, PriceError, QuantityError, UnknownSymbol
from shm_exchange.layout.records import REPORT
from shm_exchange.supervisor.supervisor import Supervisor
from tests.litmus.exchanges import take

Attach = Callable[..., Gateway]
Call = Callable[[Any], object]

BUY, SELL = Side

REFUSED: list[tuple[Call, type[Exception], str]] = [
    (lambda g: g.limit("ACME", BUY, "99.505", 1), PriceError, "price 99.505 is not a multiple of the tick 0.01 of ACME"),
    (lambda g: g.limit("ACME", BUY, 99.5, 1), PriceError, "99.5 is a float, which cannot say decimals exactly; write it as a string"),
    (lambda g: g.limit("ACME", BUY, np.float64(99.5), 1), PriceError, "is a float"),
    (lambda g: g.limit("ACME", BUY, "1e400", 1), PriceError, "1e400"),
    (lambda g: g.limit("ACME", BUY, float("nan"), 1), PriceError, "nan"),
    (lambda g: g.limit("ACME", BUY, "nan", 1), PriceError, "not finite"),
    (lambda g: g.limit("ACME", BUY, Decimal("inf"), 1), PriceError, "not finite"),
    (lambda g: g.limit("ACME", BUY, "1." + "0" * 70 + "1", 1), PriceError, "not a multiple"),
    (lambda g: g.limit("ACME", BUY, quantity=1), PriceError, "a limit order needs price= .* or price_ticks="),
    (lambda g: g.limit("ACME", BUY, "1e40", 1), PriceError, "do not fit a 64-bit word"),
    (lambda g: g.limit("ACME", BUY, price_ticks=2**63, quantity=1), PriceError, "9223372036854775808 ticks do not fit a 64-bit word"),
    (lambda g: g.limit("ACME", BUY, price_ticks=-(2**63) - 1, quantity=1), PriceError, "ticks do not fit a 64-bit word"),
    (lambda g: g.limit("ACME", BUY, "1.00", 1.5), QuantityError, "1.5 is a float"),
    (lambda g: g.limit("ACME", BUY, "1.00", 1.0), QuantityError, "1.0 is a float"),
    (lambda g: g.limit("ACME", BUY, "1.00", np.float64(2.0)), QuantityError, "is a float"),
    (lambda g: g.limit("ACME", BUY, "1.00", "1.5"), QuantityError, "quantity 1.5 is not a multiple of the lot 1 of ACME"),
    (lambda g: g.limit("ACME", BUY, "1.00", 2**63), QuantityError, "9223372036854775808 lots do not fit a 64-bit word"),
    (lambda g: g.limit("FINE", BUY, "1.00", "0.05"), QuantityError, "not a multiple of the lot 0.1 of FINE"),
    (lambda g: g.limit("FINE", BUY, "1.00", "1e-400"), QuantityError, "not a multiple"),
    (lambda g: g.market("ACME", BUY, 1.5), QuantityError, "1.5 is a float"),
    (lambda g: g.market("ACME", BUY, 2**70), QuantityError, "lots do not fit a 64-bit word"),
    (lambda g: g.market("ACME", BUY, 1, worst_price=99.5), PriceError, "99.5 is a float"),
    (lambda g: g.market("ACME", BUY, 1, worst_price="1e300"), PriceError, "1e300"),
    (lambda g: g.reduce(1, 0.5, symbol="ACME"), QuantityError, "0.5 is a float"),
    (lambda g: g.replace(1, price="1.005", quantity=1, symbol="ACME"), PriceError, "not a multiple"),
    (lambda g: g.replace(1, quantity=1, symbol="ACME"), PriceError, "price="),
    (lambda g: g.replace(1, price_ticks=2**64, quantity=1, symbol="ACME"), PriceError, "do not fit a 64-bit word"),
    (lambda g: g.limit("ACNE", BUY, "1.00", 1), UnknownSymbol, "no instrument 'ACNE'; did you mean 'ACME'.; it has ACME, FINE"),
    (lambda g: g.market("FIN", BUY, 1), UnknownSymbol, "did you mean 'FINE'"),
    (lambda g: g.limit(None, BUY, "1.00", 1), UnknownSymbol, "no instrument None"),
    (lambda g: g.reduce(1, 1, symbol="XYZ"), UnknownSymbol, "no instrument 'XYZ'; it has ACME, FINE"),
    (lambda g: g.replace(1, price="1", quantity=1, symbol="acme"), UnknownSymbol, "no instrument 'acme'"),
    (lambda g: g.mass_cancel("ACMES"), UnknownSymbol, "did you mean 'ACME'"),
    (lambda g: g.reduce(g.number << 40 | 77, 1), ConfigError, "not known here any more: say symbol="),
    (lambda g: g.replace(5 << 40 | 2, price="1", quantity=1), ConfigError, "say symbol="),
    (lambda g: g.cancel(client_order_id=2**64), ConfigError, "client_order_id must be a whole number from 0 to 2.64 - 1"),
    (lambda g: g.limit("ACME", BUY, "1.00", 1, client_order_id=-1), ConfigError, "client_order_id must be"),
    (lambda g: g.limit("ACME", BUY, "1.00", 1, client_order_id=2**64), ConfigError, "client_order_id must be"),
    (lambda g: g.submit_many([1, 2]), ConfigError, "array of COMMAND records"),
    (lambda g: g.submit_many(np.zeros(2, REPORT)), ConfigError, "array of COMMAND records"),
    (lambda g: g.submit_many(np.zeros((2, 2), np.int64)), ConfigError, "array of COMMAND records"),
    (lambda g: g.limit("ACME", BUY, price_ticks=1.0, quantity=1), TypeError, "float"),
    (lambda g: g.limit("ACME", BUY, "1.00", 1, client_order_id=1.0), TypeError, "float"),
    (lambda g: g.cancel(2**63), ConfigError, "order_id does not fit a 64-bit word"),
    (lambda g: g.cancel(-(2**63) - 1), ConfigError, "order_id does not fit a 64-bit word"),
    (lambda g: g.reduce(2**64, 1, symbol="ACME"), ConfigError, "order_id does not fit a 64-bit word"),
    (lambda g: g.cancel("7"), TypeError, "str"),
]


@pytest.mark.parametrize(("call", "error", "text"), REFUSED, ids=[f"{number} {error.__name__}" for number, (_, error, _) in enumerate(REFUSED)])
def test_a_call_that_is_refused_sends_nothing(attach: Attach, call: Call, error: type[Exception], text: str) -> None:
    gateway = attach()
    submitted = gateway.submitted
    with pytest.raises(error, match=text):
        call(gateway)
    assert gateway.submitted == submitted
    order_id = gateway.limit("ACME", BUY, "1.00", 1)
    assert order_id == gateway.number << 40 | submitted + 1
    assert take(gateway, 1)[0].order_id == order_id


def test_attaching_where_there_is_nothing(exchange: Supervisor) -> None:
    with pytest.raises(ExchangeNotFound, match=f"there is no exchange '{exchange.name}x'; did you mean '{exchange.name}'"):
        Gateway.attach(exchange.name + "x", session="alice")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"session": "two words"}, "session 'two words' must be 1 to 16 printable ASCII characters"),
        ({"session": ""}, "session"),
        ({"session": "a" * 17}, "session"),
        ({"session": "alice", "account": "ä"}, "account"),
        ({"session": "alice", "lane_full": "drops"}, "lane_full must be one of block, raise, drop, not 'drops'; did you mean 'drop'"),
    ],
)
def test_attaching_with_what_makes_no_sense(exchange: Supervisor, options: dict[str, Any], text: str) -> None:
    held = [exchange.segment.is_held(session) for session in range(1, 9)]
    with pytest.raises(ConfigError, match=text):
        Gateway.attach(exchange.name, **options)
    assert [exchange.segment.is_held(session) for session in range(1, 9)] == held
