"""`run --shards`: one foreground process, several matchers; and what other commands make of such a name."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from shm_exchange import Gateway, Side
from shm_exchange.domain.enums import EventKind
from tests.cli.programs import Running, await_no_files, call, figures, files_of
from tests.client.sharded import take

SMALL = ("--max-orders", "1024", "--max-sessions", "4", "--lane-capacity", "64", "--report-capacity", "64", "--event-capacity", "1024")
BOOKS = ("--instrument", "AAA:0.01:1", "--instrument", "BBB:0.01:1", "--instrument", "CCC:0.01:1")


def test_run_status_and_stop_mean_all_shards(name: str) -> None:
    with Running("run", name, "--shards", "2", "--journal", "off", "--json", *BOOKS, *SMALL) as running:
        answer = running.answer()
        assert (answer["name"], answer["instruments"], len(answer["shards"])) == (name, ["AAA", "CCC", "BBB"], 2)
        with Gateway.attach(name, session="alice") as gateway:
            for symbol in ("AAA", "BBB", "CCC"):
                gateway.limit(symbol, Side.BUY, "9.99", 3)
            take(gateway, 3)
            status = figures("status", name)
        assert (status["name"], status["open_orders"], status["matcher"]) == (name, 3, "running")
        assert [row["open_orders"] for row in status["shards"]] == [2, 1]
        assert list(status["books"]) == ["AAA", "BBB", "CCC"]
        assert status["books"]["BBB"]["bid"] == ["9.99", "3"]
        refused = call("spawn", name, "maker", "--orders", "1")
        assert refused.returncode == 1
        assert f"name one of {name}@0of2, {name}@1of2" in refused.stderr
        assert figures("stop", name) == {"name": name, "stopped": True}
        code, said = running.end()
    assert code == 0
    assert "stopped after" in said
    assert not files_of(name)


@pytest.mark.long
def test_whoever_cannot_deal_with_shards_says_what_to_do(name: str) -> None:
    with Running("run", name, "--shards", "2", "--journal", "off", "--json", *BOOKS, *SMALL) as running:
        running.answer()
        assert f"{name}@1of2" in call("status", name).stdout
        shown = {entry["name"]: entry["state"] for entry in figures("list")["exchanges"] if entry["name"].startswith(name)}
        assert shown == {f"{name}@0of2": "running", f"{name}@1of2": "running"}
        for command, words in (
            (("top", name, "--once"), f"name one of {name}@0of2, {name}@1of2"),
            (("spawn", name, "maker", "--orders", "1"), f"name one of {name}@0of2, {name}@1of2"),
            (("stop", f"{name}@1of2"), f"stop them all with `shm-exchange stop {name}`"),
            (("clean", name, "--yes"), "is alive"),
            (("run", f"{name}@1of2"), "is the name of a shard"),
            (("run", name, "--journal", "off"), "is running"),
        ):
            refused = call(*command)
            assert refused.returncode == 1
            assert words in refused.stderr
            assert refused.stderr.count("\n") <= 20
        assert f"{name}@1of2" in call("top", f"{name}@1of2", "--once").stdout


@pytest.mark.long
def test_shards_are_adopted_and_resumed_together(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    with Running("run", name, "--shards", "3", "--dir", str(folder), "--json", *BOOKS, *SMALL) as running:
        running.answer()
        with Gateway.attach(name, session="alice") as gateway:
            order_id = gateway.limit("BBB", Side.BUY, "9.99", 3)
            take(gateway, 1)
        running.signal(signal.SIGKILL)
        running.end()
    with Running("run", name, "--adopt", "--json") as running:
        assert len(running.answer()["shards"]) == 3
        assert figures("status", name)["open_orders"] == 1
        running.signal(signal.SIGTERM)
        assert running.end()[0] == 0
    await_no_files(name)
    assert sorted(path.name for path in folder.iterdir()) == ["shard-0", "shard-1", "shard-2"]
    assert figures("journal", "verify", str(folder / "shard-1"))["good"]
    assert "name one, such as shard-0" in call("journal", "verify", str(folder)).stderr
    for wish, words in (
        ((), "go on with --resume"),
        (("--shards", "3", *BOOKS), "go on with --resume"),
        (("--resume", "--shards", "2"), "resume all, together"),
    ):
        refused = call("run", name, "--dir", str(folder), *wish)
        assert refused.returncode == 1
        assert words in refused.stderr
    with Running("run", name, "--resume", "--dir", str(folder), "--json") as running:
        answer = running.answer()
        assert [row["term"] for row in answer["shards"]] == [2, 2, 2]
        with Gateway.attach(name, session="alice") as gateway:
            gateway.cancel(order_id)
            reports = take(gateway, 1)
            while reports[-1].kind is not EventKind.CANCELED:
                reports += take(gateway, 1)
            assert (reports[-1].symbol, reports[-1].order_id) == ("BBB", order_id)
    await_no_files(name)
    with Running("run", name, "--new", "--dir", str(folder), "--json", "--shards", "2", *BOOKS, *SMALL) as running:
        running.answer()
        assert figures("status", name)["open_orders"] == 0
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith("kept.before-")]


@pytest.mark.long
def test_a_file_may_say_how_many(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text('[exchange]\nname = "fx"\nshards = 2\n[[instrument]]\nsymbol = "A"\n[[instrument]]\nsymbol = "B"\n')
    said = call("run", str(file), "--print-config")
    assert 'name = "fx"\nshards = 2\n' in said.stdout
    assert "shards = 3\n" in call("run", str(file), "--print-config", "--shards", "3").stdout
    file.write_text('[exchange]\nshards = "two"\n')
    assert "a whole number, not 'two'" in call("run", str(file)).stderr
    assert "2 shards need an instrument each" in call("run", f"none-{os.getpid()}", "--shards", "2", "--journal", "off").stderr
