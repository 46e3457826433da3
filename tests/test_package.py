"""What `pip install` brings: the package alone, groups that can be asked for, and a clear word where it cannot run."""

from __future__ import annotations

import email
import importlib.util
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from shm_exchange.domain.errors import ExchangeError, missing_extra

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PRODUCT_GROUPS = {"web", "feed", "redis", "storage", "metrics", "top", "plot", "profile", "frame", "gym"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    here = importlib.util.find_spec("hatchling") is not None
    build = ["hatchling", "build", "-t", "wheel", "-d", str(folder)] if here else ["pip", "wheel", ".", "--no-deps", "-w", str(folder)]
    ended = subprocess.run([sys.executable, "-m", *build], cwd=ROOT, capture_output=True, text=True, check=False)
    if not here and "No matching distribution" in ended.stderr:
        pytest.skip("hatchling is neither installed nor to be had without a network")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return zipfile.ZipFile(next(folder.glob("shm_exchange-*.whl")))


def test_the_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"shm_exchange", f"shm_exchange-{PROJECT['version']}.dist-info"}
    assert not [name for name in wheel.namelist() if "__pycache__" in name]


def test_the_wheel_holds_all_of_the_package(wheel: zipfile.ZipFile) -> None:
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "shm_exchange").rglob("*.py")}
    assert modules <= set(wheel.namelist())
    assert "shm_exchange/py.typed" in wheel.namelist()
    assert any(name.endswith("/LICENSE") for name in wheel.namelist())


def test_the_wheel_offers_every_group(wheel: zipfile.ZipFile) -> None:
    path = next(name for name in wheel.namelist() if name.endswith("dist-info/METADATA"))
    metadata = email.message_from_bytes(wheel.read(path))
    assert set(metadata.get_all("Provides-Extra", [])) == PRODUCT_GROUPS | {"all", "dev"}
    assert metadata["Requires-Python"] == ">=3.11"


def test_all_is_the_union_of_the_groups() -> None:
    (everything,) = map(Requirement, PROJECT["optional-dependencies"]["all"])
    assert everything.name == PROJECT["name"]
    assert everything.extras == PRODUCT_GROUPS


def test_every_dependency_is_bounded_on_both_sides() -> None:
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    requirements = [Requirement(text) for group in groups for text in group]
    loose = [str(need) for need in requirements if need.name != PROJECT["name"] and sorted(one.operator for one in need.specifier) != ["<", ">="]]
    assert not loose


@pytest.mark.parametrize("group", sorted(PRODUCT_GROUPS))
def test_a_missing_package_is_asked_for_by_its_group(group: str) -> None:
    error = missing_extra(group, ImportError("No module named 'thing'", name="thing"))
    assert isinstance(error, ExchangeError)
    assert isinstance(error, ImportError)
    assert "thing" in str(error)
    assert f"pip install 'shm-exchange[{group}]'" in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_another_system_is_told_where_it_runs(platform: str) -> None:
    program = f"import sys; sys.platform = {platform!r}; import shm_exchange"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    last = ended.stderr.strip().rpartition("\n")[2]
    assert last.startswith("ImportError: "), ended.stderr
    assert [word for word in ("Linux", "WSL2", "Docker") if word not in last] == []
