"""An exchange from a TOML file and flags."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from shm_exchange.cli.configuration import configured, instrument_of, journal_table, toml_text
from shm_exchange.domain.config import ExchangeConfig
from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.instrument import Instrument
from tests.cli.programs import call

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """
[exchange]
name = "paper"
max_orders = 1024
depth = 5

[[instrument]]
symbol = "EURUSD"
tick_size = 0.00001
lot_size = 1000

[[instrument]]
symbol = "SPREAD"
tick_size = "0.5"
min_price = -100
max_price = 100
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "paper.toml"
    file.write_text(TEXT)
    return file


def read(path: Path) -> ExchangeConfig:
    return configured(str(path), None, (), {})


def test_a_file_is_read_exactly(path: Path) -> None:
    config = read(path)
    assert (config.name, config.max_orders, config.depth, config.max_sessions) == ("paper", 1024, 5, 16)
    euro, spread = config.instruments
    assert (euro.tick, euro.lot) == (Decimal("0.00001"), Decimal(1000))
    assert (spread.min_ticks, spread.max_ticks) == (-200, 200)


def test_flags_override_the_file(path: Path) -> None:
    config = configured(str(path), "other", ["ACME:0.05"], {"depth": 3, "max_orders": None})
    assert (config.name, config.depth, config.max_orders) == ("other", 3, 1024)
    assert config.instruments == (Instrument("ACME", "0.05"),)


def test_a_bare_name_is_a_name() -> None:
    config = configured("fx", None, (), {})
    assert config.name == "fx"
    assert config.instruments == (Instrument("ACME", "0.01", "1"),)


def test_an_instrument_flag_has_up_to_five_parts() -> None:
    assert instrument_of("X") == Instrument("X")
    assert instrument_of("X:0.5:10") == Instrument("X", "0.5", "10")
    assert instrument_of("X:0.5::-3:3") == Instrument("X", "0.5", min_price="-3", max_price="3")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[exchnage]\n", "there is no table 'exchnage'; did you mean 'exchange'?"),
        ("[exchange]\nmax_order = 3\n", "there is no key of [exchange] 'max_order'; did you mean 'max_orders'?"),
        ('[[instrument]]\nsymbol = "A"\ntick = "1"\n', "there is no key of [[instrument]] 'tick'; did you mean 'tick_size'?"),
        ('[instrument]\nsymbol = "A"\n', "write [exchange] with one bracket and [[instrument]] with two"),
        ("[[instrument]]\n", 'an [[instrument]] has no symbol; add symbol = "…"'),
        ("[exchange\n", "is not TOML"),
        ('[exchange]\ndepth = "ten"\n', "depth must be a whole number from 1 to 64, not 'ten'"),
        ("[exchange]\nname = 3\n", "exchange name 3 must be"),
        ("[[instrument]]\nsymbol = 3\n", "symbol 3 must be"),
        ('[[instrument]]\nsymbol = "A"\n[[instrument]]\nsymbol = "A"\n', "symbol 'A' stands twice"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        read(file)
    assert said in str(error.value)


def test_the_text_of_a_configuration_makes_the_same_configuration(path: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.toml"
    journal = {"mode": "group", "directory": '/var/lib/a "b"', "segment_records": 128}
    again.write_text(toml_text(read(path), journal))
    assert toml_text(read(again), journal_table(str(again))) == again.read_text()
    assert journal_table(str(again)) == journal
    assert read(again).max_pages == read(path).max_pages
    assert [instrument.tick for instrument in read(again).instruments] == [instrument.tick for instrument in read(path).instruments]


def test_the_folder_of_a_journal_is_meant_from_the_file_on(tmp_path: Path) -> None:
    file = tmp_path / "kept.toml"
    file.write_text('[journal]\nmode = "sync"\ndirectory = "log"\n')
    assert journal_table(str(file)) == {"mode": "sync", "directory": str(tmp_path / "log")}
    assert journal_table("kept") == journal_table(None) == {}
    file.write_text('[journal]\nmodes = "sync"\n')
    with pytest.raises(ConfigError, match=r"there is no key of \[journal\] 'modes'; did you mean 'mode'\?"):
        journal_table(str(file))


def test_print_config_prints_it_and_runs_nothing(path: Path, tmp_path: Path) -> None:
    first = call("run", str(path), "--depth", "7", "--print-config")
    assert (first.returncode, first.stderr) == (0, "")
    again = tmp_path / "again.toml"
    again.write_text(first.stdout)
    assert read(again).depth == 7
    assert call("run", str(again), "--print-config").stdout == first.stdout


def test_an_unknown_key_ends_run_with_a_line(tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text("[exchange]\nlane_capcity = 64\n")
    done = call("run", str(file))
    assert done.returncode == 1
    assert done.stderr.startswith(f"shm-exchange: {file}: there is no key of [exchange] 'lane_capcity'; did you mean 'lane_capacity'?")
