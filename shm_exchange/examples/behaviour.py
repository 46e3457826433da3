"""A participant of one's own: twenty lines, and the same class trades in simulated time and as a process on a real exchange."""

from dataclasses import dataclass

from shm_exchange import Side
from shm_exchange.participants.behaviour import Behaviour, parameter
from shm_exchange.participants.description import config_for
from shm_exchange.participants.market import Market
from shm_exchange.participants.market_file import parsed
from shm_exchange.participants.scheduler import simulate

MARKET = """
[[participant]]
behaviour = "zero"
count = 3
rate = 100
[[participant]]
behaviour = "shm_exchange.examples.behaviour:Bargain"
rate = 5
depth = 3
delay = "500us"
"""  # the same text in a file: shm-exchange spawn market.toml


@dataclass
class Bargain(Behaviour):
    depth: int = parameter(5, "ticks", "below the mid at which it hopes to buy, and above to sell", least=1)

    def on_market(self, market: Market) -> None:
        market.cancel_all()
        side = Side.SELL if market.position() > 0 else Side.BUY
        market.limit(side, int(market.mid_ticks or 10_000) + (self.depth if side is Side.SELL else -self.depth), 10)


if __name__ == "__main__":
    config = config_for(parsed(MARKET))
    own = simulate(config, [seat for seat, _ in parsed(MARKET).seats(("ACME",), 10.0, 0)], 10.0).participants[-1]
    print(f"{own.session}: {own.fills} fills, earned {own.pnl[0]:+.0f} ticks × lots")
