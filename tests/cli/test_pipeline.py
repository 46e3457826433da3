"""`pipeline NAME` as people use it: the golden results, the checks, feeds, files, ends of every kind, and metrics."""

from __future__ import annotations

import signal
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from shm_exchange.cli.pipeline import app
from shm_exchange.domain.errors import ConfigError
from shm_exchange.participants.venues import GOLDEN
from tests.cli.programs import Running, await_no_files, call, figures, files_of
from tests.pipeline.feed_parts import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAD = "timestamp,venue,symbol,bid,ask,bid_size,ask_size\n"


def holding(*arguments: str) -> dict[str, Any]:
    """The figures of a pipeline, all of whose checks hold."""
    found = figures("pipeline", *arguments)
    assert all(found["checks"].values()), found["checks"]
    assert not files_of(found["pipeline"])
    return found


def test_signals_begin_with_the_golden_result_and_walk_on() -> None:
    found = holding("signals", "--ticks", "400", "--seed", "3")
    assert found["golden"] == {"signals": [42050, 42100, 42150, 42200], "executed": [42150]}
    assert set(found["checks"]) >= {"nothing_lost", "golden", "cash_and_positions_sum_to_zero", "book_check"}
    assert found["ticks"] == 400
    assert found["signals"] > found["executed"] > 1
    assert [stage["name"] for stage in found["metrics"]["stages"]] == ["enrich", "signal", "risk", "size", "execute"]


@pytest.mark.long
def test_signals_of_the_golden_list_alone() -> None:
    found = holding("signals", "--ticks", "7")
    assert (found["ticks"], found["signals"], found["skipped"], found["executed"]) == (7, 4, 3, 1)
    assert found["holdings"]["positions"] == {"BTC": "0.394"}
    assert found["profit"] == pytest.approx(0.394 * (42180 - 42150.5))


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    process = ServerProcess()
    yield process
    process.kill()


@pytest.mark.long
def test_signals_of_a_feed(server: ServerProcess) -> None:
    found = holding("signals", "--feed", f"ws://127.0.0.1:{server.port}", "--symbol", "ETH", "--ticks", "300")
    assert found["ticks"] == 300 == found["feed"]["ticks"]
    assert (found["feed"]["connects"], found["feed"]["gaps"], found["feed"]["bad_frames"]) == (1, 0, 0)
    assert "golden" not in found["checks"]


def test_the_aggregator_takes_the_golden_arbitrage_and_more() -> None:
    found = holding("aggregator", "--seconds", "0.5")
    first = found["first"]
    assert (first["buy_venue"], first["buy_price"], first["sell_venue"], first["sell_price"]) == ("Binance", 42001, "Coinbase", 42005)
    assert found["opportunities"] >= found["arbitrageur"]["taken"] > 1
    assert set(found["venues"]["BTC"]) <= set(GOLDEN) == set(found["makers"])
    assert all(maker["quotes"] > 1 for maker in found["makers"].values())


def recorded(*rows: str) -> str:
    return HEAD + "".join(f"{number},{row}\n" for number, row in enumerate(rows, 1_700_000_000_000))


def test_the_aggregator_reads_recorded_quotes(tmp_path: Path) -> None:
    path = tmp_path / "quotes.csv"
    path.write_text(
        recorded("Binance,BTC,42000,42001,5,5", "Kraken,BTC,41998,42002,5,5", "Coinbase,BTC,42005,42008,3,5", "Kraken,BTC,42003,42004,1,1")
    )
    found = holding("aggregator", "--quotes", str(path))
    assert found["first"] == {
        "symbol": "BTC",
        "buy_venue": "Binance",
        "buy_price": 42001,
        "sell_venue": "Coinbase",
        "sell_price": 42005,
        "quantity": 3,
    }
    assert (found["quotes"], found["opportunities"], found["profit"]) == (4, 1, 12)
    assert found["best"]["BTC"] == {"bid": {"venue": "Kraken", "price": 42003, "size": 1}, "ask": {"venue": "Kraken", "price": 42004, "size": 1}}


@pytest.mark.long
def test_the_aggregator_of_feeds(server: ServerProcess) -> None:
    url = f"ws://127.0.0.1:{server.port}"
    found = holding("aggregator", "--feed", f"One={url}", "--feed", f"Two={url}", "--ticks", "50")
    assert {venue: feed["ticks"] for venue, feed in found["feeds"].items()} == {"One": 50, "Two": 50}
    assert set(found["best"]) == {"BTC"}


def test_the_balancer_keeps_the_order_of_every_symbol() -> None:
    found = holding("balancer", "--orders", "3000", "--seed", "5")
    assert found["submitted"] == sum(found["symbols"].values()) == sum(shard["submitted"] for shard in found["shards"]) == 3000
    assert sorted(symbol for shard in found["shards"] for symbol in shard["symbols"]) == sorted(found["symbols"])
    assert len(found["shards"]) == 3
    assert found["trades"] == sum(shard["trades"] for shard in found["shards"]) > 500


def test_a_monitor_warns_counts_and_tells_a_scraper(tmp_path: Path) -> None:
    path = tmp_path / "metrics.prom"
    arguments = ("pipeline", "monitor", "signals", "--seconds", "1.6", "--warn-above", "10", "--metrics-file", str(path), "--port", "0", "--json")
    with Running(*arguments) as program:
        url = program.hear("the metrics are at").split()[-1]
        program.hear("ticks ")
        with urllib.request.urlopen(url, timeout=60) as page:  # noqa: S310 (our own)
            assert page.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            assert 'shm_exchange_pipeline_processed_total{pipeline="signals",stage="enrich"}' in page.read().decode()
        found = program.answer()
        assert program.end()[0] == 0
    assert any("items wait" in warning for warning in found["warnings"])
    assert all(found["checks"].values())
    sample = 'shm_exchange_pipeline_processed_total{pipeline="signals",stage="enrich"}'
    (line,) = [line for line in path.read_text().splitlines() if line.startswith(sample)]
    assert float(line.split()[-1]) == found["ticks"]
    assert all(stage["average_seconds"] > 0 for stage in found["metrics"]["stages"])


LONG = pytest.mark.long


@pytest.mark.parametrize(
    ("name", "told"), [("signals", "executed"), pytest.param("aggregator", "profit", marks=LONG), pytest.param("balancer", "dealt", marks=LONG)]
)
def test_ctrl_c_drains(name: str, told: str) -> None:
    arguments = ("--orders", "10000000") if name == "balancer" else ("--seconds", "100")
    with Running("pipeline", name, *arguments, "--json") as program:
        program.hear(told)
        program.signal(signal.SIGINT)
        found = program.answer()
        code, said = program.end()
        assert code == 130, said
        assert "draining" in said
        assert found["interrupted"]
        assert all(found["checks"].values()), found["checks"]
        await_no_files(f"{name}-{program.process.pid}")


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_broken_off_it_leaves_nothing(number: signal.Signals) -> None:
    with Running("pipeline", "aggregator", "--seconds", "100") as program:
        program.hear("profit")
        program.signal(number)
        assert program.end()[0] in (143, -9)
        await_no_files(f"aggregator-{program.process.pid}")


@pytest.mark.long
def test_the_report_of_people_and_the_list() -> None:
    done = call("pipeline", "signals", "--ticks", "7", COLUMNS="80")
    assert done.returncode == 0, done.stderr
    assert "✔  golden" in done.stdout
    assert "✘" not in done.stdout
    assert not done.stderr
    assert set(figures("pipeline", "list")["pipelines"]) == {"aggregator", "signals", "balancer", "monitor"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("aggregator", "--quotes", "x", "--feed", "A=ws://x"), "not both"),
        (("aggregator", "--feed", "ws://127.0.0.1:1"), "VENUE=URL"),
        (("aggregator", "--feed", "A=ws://a", "--feed", "A=ws://b"), "same venue"),
        (("aggregator", "--ticks", "5"), "--feed"),
        (("signals", "--feed", "http://x"), "address of a feed"),
        (("signals", "--symbol", "ETH"), "--symbol is of a feed"),
        (("signals", "--seconds", "-1"), "--seconds must be"),
    ],
)
def test_what_makes_no_sense_is_an_error_before_anything_runs(arguments: tuple[str, ...], words: str) -> None:
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, ConfigError)
    assert words in str(done.exception)


@pytest.mark.long
def test_a_feed_that_never_comes_is_a_failure() -> None:
    done = call("pipeline", "aggregator", "--feed", "Nobody=ws://127.0.0.1:1", "--seconds", "0.1")
    assert done.returncode == 1
    assert "ConnectionRefusedError" in done.stderr
    assert "quotes_came failed" in done.stderr


def test_errors_are_one_line() -> None:
    done = call("pipeline", "aggregator", "--quotes", "/nowhere.csv")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("shm-exchange: cannot read the quotes in /nowhere.csv")
