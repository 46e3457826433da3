"""An event loop that waits for reports, events and prices at once. Each task sleeps until there is something for it."""

import asyncio
import os

from shm_exchange import EventFeed, Exchange, Gateway, Instrument, MarketView, Side

NAME = f"async-{os.getpid()}"


async def read_reports(gateway: Gateway) -> None:
    async for report in gateway.reports():
        print(f"  {gateway.session} is told: {report.kind.name} {report.quantity} @ {report.price}")


async def read_events(feed: EventFeed) -> None:
    async for event in feed.events():
        print(f"  everybody sees: {event.kind.name} {event.side.name} {event.quantity} @ {event.price}")


async def read_prices(view: MarketView) -> None:
    async for depth in view.changes():
        print(f"  best bid: {depth.bid and depth.bid.price}, best ask: {depth.ask and depth.ask.price}")


async def main() -> None:
    async with asyncio.TaskGroup() as tasks:
        with Gateway.attach(NAME, session="alice") as alice, EventFeed.attach(NAME) as feed, MarketView.attach(NAME, "ACME") as view:
            for reader in (read_reports(alice), read_events(feed), read_prices(view)):
                tasks.create_task(reader)
            for side, price in ((Side.BUY, "99.50"), (Side.SELL, "99.70"), (Side.SELL, "99.50")):
                print(f"alice: {side.name} 10 at {price}")
                alice.limit("ACME", side, price, quantity=10)
                await asyncio.sleep(0.2)  # closing the handles, below, ends the three loops


if __name__ == "__main__":
    with Exchange.start(NAME, [Instrument("ACME")]):
        asyncio.run(main())
