"""The plugin in a pytest of its own, found as an installed package's would be."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from shm_exchange._cache import cache_folder
from tests.supervisor.callers import CHECKOUT

pytest_plugins = ["pytester"]

BOT_TESTS = """
    import pytest
    from shm_exchange import Exchange, Gateway, Instrument, Side

    names = []

    def test_an_exchange_and_a_session_of_our_own(exchange, gateway):
        names.append(exchange.name)
        assert isinstance(exchange, Exchange)
        assert isinstance(gateway, Gateway)
        assert (gateway.session, [item.symbol for item in exchange.config.instruments]) == ("an_exchange_and_", ["ACME"])
        gateway.limit("ACME", Side.BUY, "1.00", 1)
        assert gateway.wait(30)
        assert exchange.status()["open_orders"] == 1

    @pytest.mark.exchange(instruments=[Instrument("OIL", tick_size="0.05"), Instrument("GAS")], depth=3)
    class TestMarked:
        @pytest.mark.exchange(depth=5)
        def test_the_nearest_mark_counts(self, exchange, gateways):
            names.append(exchange.name)
            assert [item.symbol for item in exchange.config.instruments] == ["OIL", "GAS"]
            assert exchange.config.depth == 5
            alice, bob = gateways("alice", "bob")
            assert (alice.session, bob.session) == ("alice", "bob")
            alice.limit("OIL", Side.BUY, "1.05", 1)
            bob.market("OIL", Side.SELL, 1)
            assert bob.wait(30) and alice.wait(30)

    @pytest.mark.parametrize("text", ["b ä"])
    def test_a_parameter(gateway, text):
        names.append(gateway.name)
        assert gateway.session == "a_parameter[b-\\\\x"[:16]

    def test_every_exchange_has_its_name_and_its_end():
        assert len(set(names)) == 3
        from shm_exchange.shm import exchanges
        assert not {info.name for info in exchanges()} & set(names)
"""


@pytest.fixture
def installed(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """The checkout on the path, with the entry points that pyproject gives an installed package."""
    points = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    information = Path(pytester.mkdir("site")) / "shm_exchange_here-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: shm-exchange-here\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[pytest11]\n" + "".join(f"{name} = {module}\n" for name, module in points.items()))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(information.parent), str(CHECKOUT))))
    monkeypatch.setenv("SHM_EXCHANGE_CACHE", str(Path(cache_folder()).parent))  # pytester has another HOME
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return pytester


def test_bots_are_tested_with_it(installed: pytest.Pytester) -> None:
    installed.makepyfile(BOT_TESTS)
    result = installed.runpytest_subprocess("-q", "-W", "error", "--strict-markers", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=4)
    assert result.stderr.str() == ""


@pytest.mark.long
def test_what_it_offers_is_listed(installed: pytest.Pytester) -> None:
    result = installed.runpytest_subprocess("--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.exchange(instruments=*"])
    result = installed.runpytest_subprocess("--fixtures")
    result.stdout.fnmatch_lines_random(["exchange -- *", "gateway -- *", "gateways -- *"])


def test_a_run_that_does_not_use_it_does_not_pay_for_it(installed: pytest.Pytester) -> None:
    installed.makepyfile(
        """
        import sys

        def test_nothing_heavy_is_imported(pytestconfig):
            assert pytestconfig.pluginmanager.has_plugin("shm_exchange.pytest_plugin")
            assert not {"numba", "numpy", "shm_exchange.client", "shm_exchange.supervisor"} & set(sys.modules)
        """
    )
    installed.runpytest_subprocess("-q", "-W", "error").assert_outcomes(passed=1)


@pytest.mark.long
def test_mistakes_are_said(installed: pytest.Pytester) -> None:
    installed.makepyfile(
        """
        import pytest

        @pytest.mark.exchange("ACME")
        def test_positional(exchange):
            pass

        @pytest.mark.exchange(dept=5)
        def test_misspelt(exchange):
            pass
        """
    )
    result = installed.runpytest_subprocess("-q")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines_random(["*the mark `exchange` takes named arguments only*", "*did you mean 'depth'?*"])
