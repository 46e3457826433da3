"""`shm-exchange pipeline`: ready pipelines, each with a live view and a verdict."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shm_exchange.cli.look import Json
from shm_exchange.cli.warm import warm_all
from shm_exchange.domain.errors import ConfigError

if TYPE_CHECKING:
    from shm_exchange.cli.pipeline_run import Ready
    from shm_exchange.cli.pipeline_watch import Watching

PIPELINES = {
    "aggregator": "three venues in one book of quotes, and arbitrage between them",
    "signals": "ticks → enrichment → signal → risk → Kelly sizing → execution",
    "balancer": "one stream of orders, a queue and a matcher for each group of symbols",
    "monitor": "any of these, with all its figures, warnings and metrics",
}
_SECONDS = 5.0
_TICKS = 1000
_ORDERS = 20_000

app = typer.Typer(
    help="Ready pipelines: stages joined by bounded queues, on exchanges that they start for themselves.",
    no_args_is_help=True,
    epilog="Example:  shm-exchange pipeline signals --ticks 1000",
)
Seconds = Annotated[float | None, typer.Option(help="End after so long.", show_default=False)]
Seed = Annotated[int, typer.Option(min=0, help="The same seed, the same market.")]
Symbols = Annotated[list[str] | None, typer.Option("--symbol", help="Of a feed; repeatable (default: BTC).", show_default=False)]


class Target(StrEnum):
    """What can be monitored."""

    AGGREGATOR = "aggregator"
    SIGNALS = "signals"
    BALANCER = "balancer"


@app.command("list")
def list_(*, as_json: Json = False) -> None:
    """List the ready pipelines."""
    from shm_exchange.cli.screen import Screen, table

    screen = Screen(as_json=as_json)
    screen.result({"pipelines": PIPELINES})
    screen.show(table("pipeline", "what it is", rows=PIPELINES.items()))


@app.command(epilog="Example:  shm-exchange pipeline aggregator --seconds 10")
def aggregator(
    *,
    seconds: Seconds = None,
    seed: Seed = 1,
    rate: Annotated[float, typer.Option(min=0.1, max=10_000, help="Quotes a second of each venue.")] = 200.0,
    quotes: Annotated[
        Path | None, typer.Option(help="Recorded quotes instead: CSV of timestamp,venue,symbol,bid,ask,bid_size,ask_size.", show_default=False)
    ] = None,
    feed: Annotated[list[str] | None, typer.Option(help="A WebSocket feed instead, as VENUE=URL; repeatable.", show_default=False)] = None,
    symbol: Symbols = None,
    ticks: Annotated[int | None, typer.Option(min=1, help="End after so many ticks of each feed.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Aggregate three venues, and take the arbitrage between them through two gateways.

    The venues are exchanges in shared memory, each with a market maker, for 5 s unless --seconds says otherwise. With --quotes or --feed the quotes
    are others', and the arbitrage is on paper.
    """
    from shm_exchange.cli.pipeline_aggregator import Wishes
    from shm_exchange.cli.pipeline_aggregator import aggregator as made
    from shm_exchange.participants.venues import SYMBOL

    if quotes is not None and feed:
        raise ConfigError("quotes come from a file or from feeds: give --quotes or --feed, not both")
    feeds = tuple(_venue_and_url(text) for text in feed or ())
    if len({venue for venue, _ in feeds}) < len(feeds):
        raise ConfigError("two feeds have the same venue; give each a name of its own: --feed VENUE=URL")
    own = quotes is None and not feeds
    if not own and rate != 200.0:
        raise ConfigError("--rate is of the venues that the command starts itself; leave it out with --quotes and --feed")
    if ticks is not None and not feeds:
        raise ConfigError("--ticks counts those of feeds; give a --feed, or end by --seconds")
    wishes = Wishes(seed, rate, quotes, feeds, tuple(symbol or (SYMBOL,)), ticks)
    _run(lambda: made(wishes), _SECONDS if own and seconds is None else seconds, as_json=as_json)


@app.command(epilog="Example:  shm-exchange pipeline signals --ticks 1000 --seed 7")
def signals(
    *,
    ticks: Annotated[int | None, typer.Option(min=1, help=f"End after so many (default: {_TICKS}; with --feed: none).", show_default=False)] = None,
    seconds: Seconds = None,
    seed: Seed = 1,
    feed: Annotated[str | None, typer.Option(help="Ticks of a WebSocket feed at this URL instead.", show_default=False)] = None,
    symbol: Symbols = None,
    as_json: Json = False,
) -> None:
    """Turn ticks into trades: moving average and change, signal, risk, Kelly sizing, execution on an exchange.

    Without --feed the first seven ticks are a list whose result is known and checked, 4 BUY signals and 1 trade; then prices walk at random.
    """
    from shm_exchange.cli.pipeline_signals import SYMBOL, Signals, Wishes

    if symbol and not feed:
        raise ConfigError("--symbol is of a feed; without --feed the pipeline trades its own BTC")
    count = _TICKS if ticks is None and not feed and seconds is None else ticks
    wishes = Wishes(count, seed, feed, tuple(symbol or (SYMBOL,)))
    _run(lambda: Signals(wishes), seconds, as_json=as_json)


@app.command(epilog="Example:  shm-exchange pipeline balancer --orders 100000")
def balancer(
    *,
    orders: Annotated[int, typer.Option(min=1, max=10_000_000, help="Orders in the stream.")] = _ORDERS,
    seconds: Seconds = None,
    seed: Seed = 1,
    as_json: Json = False,
) -> None:
    """Deal one stream of orders out to three matchers, each in a process of its own, and see the order of every symbol kept."""
    from shm_exchange.cli.pipeline_balancer import Balancer, Wishes

    _run(lambda: Balancer(Wishes(orders, seed)), seconds, as_json=as_json)


@app.command(epilog="Example:  shm-exchange pipeline monitor balancer --warn-above 400 --metrics-file balancer.prom")
def monitor(
    target: Annotated[Target, typer.Argument(help="Which pipeline.", show_default=False)],
    *,
    seconds: Annotated[float, typer.Option(help="End after so long, if it has not ended by itself.")] = _SECONDS,
    warn_above: Annotated[int | None, typer.Option(min=1, help="Warn when more items wait in front of a stage.", show_default=False)] = None,
    metrics_file: Annotated[
        Path | None, typer.Option(help="Keep the metrics there, as text for Prometheus, new every second.", show_default=False)
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Serve the metrics on this port of this machine; 0: any.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Run a pipeline and watch it: counters, average and p99 of the processing times, warnings, and metrics for a scraper."""
    from shm_exchange.cli.pipeline_watch import Watching

    with ExitStack() as stack:
        watching = stack.enter_context(Watching(warn_above, metrics_file, port))
        _run(lambda: _made(target), seconds, watching, as_json=as_json)


def _made(target: Target) -> Ready:
    """A pipeline as `monitor` runs it: for as long as it is let."""
    if target is Target.AGGREGATOR:
        from shm_exchange.cli.pipeline_aggregator import Wishes, aggregator

        return aggregator(Wishes())
    if target is Target.SIGNALS:
        from shm_exchange.cli import pipeline_signals

        return pipeline_signals.Signals(pipeline_signals.Wishes(ticks=None))
    from shm_exchange.cli import pipeline_balancer

    return pipeline_balancer.Balancer(pipeline_balancer.Wishes())


def _run(make: Callable[[], Ready], seconds: float | None, watching: Watching | None = None, *, as_json: bool) -> None:
    """Make it once the kernels are there, run it, and exit as it says."""
    from shm_exchange.cli.pipeline_run import Limits, run_ready
    from shm_exchange.cli.screen import Screen

    limits = Limits(seconds).checked()
    screen = Screen(as_json=as_json)
    ready = make()
    warm_all(screen)
    if watching is not None and watching.url is not None:
        screen.say(f"the metrics are at {watching.url}")
    raise typer.Exit(run_ready(ready, screen, limits, watching))


def _venue_and_url(text: str) -> tuple[str, str]:
    venue, equals, url = text.partition("=")
    if not equals or not venue or "/" in venue:
        raise ConfigError(f"--feed {text!r} names no venue; write it as VENUE=URL, e.g. Binance=ws://127.0.0.1:8765")
    return venue, url
