"""The key of a feed: where it comes from, and that it shows itself nowhere."""

from __future__ import annotations

import logging
import os
import pickle
from typing import TYPE_CHECKING

import pytest

from shm_exchange.domain.errors import ConfigError
from shm_exchange.pipeline.feed_client import FeedClient
from shm_exchange.pipeline.feed_key import FILE_VARIABLE, VARIABLE, ApiKey, checked_key
from tests.pipeline.feed_parts import Kept

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "s3cret-key"  # noqa: S105 (of nothing)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(f"{SECRET}\n")
    path.chmod(0o600)
    return path


@pytest.fixture(autouse=True)
def no_key_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv(FILE_VARIABLE, raising=False)


def revealed(key: ApiKey | Path | str | None) -> str | None:
    found = checked_key(key)
    return None if found is None else found.reveal()


def test_where_it_comes_from(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert revealed(None) is None
    assert revealed(file) == SECRET
    assert revealed(SECRET) == SECRET
    monkeypatch.setenv(FILE_VARIABLE, str(file))
    assert revealed(None) == SECRET
    monkeypatch.setenv(VARIABLE, "another")
    assert revealed(None) == "another"


def test_a_file_that_others_can_read_is_refused(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.chmod(0o604)
    with pytest.raises(ConfigError, match="chmod 600") as error:
        ApiKey.from_file(file)
    assert SECRET not in str(error.value)
    file.chmod(0o640)
    with caplog.at_level(logging.WARNING, "shm_exchange"):
        assert revealed(file) == SECRET
    assert "chmod 600" in caplog.text
    assert SECRET not in caplog.text


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    for path in (tmp_path, tmp_path / "missing", tmp_path / "fifo"):
        with pytest.raises(ConfigError, match=r"no file|cannot read"):
            ApiKey.from_file(path)


@pytest.mark.parametrize("content", ["", "\n", "two\nlines", "ümlaut", "x" * 5000, "tab\tbed"])
def test_what_is_no_key_is_not_said(file: Path, content: str) -> None:
    file.write_text(content)
    with pytest.raises(ConfigError, match="holds no key") as error:
        ApiKey.from_file(file)
    assert not content.strip() or content not in str(error.value)


def test_it_shows_itself_nowhere() -> None:
    key = ApiKey(SECRET)
    client = FeedClient("ws://me:password@127.0.0.1:1/path?token=1", ["BTC"], Kept(), api_key=key)
    for text in (repr(key), str(key), f"{key}", repr(client)):
        assert SECRET not in text
        assert "password" not in text
        assert "token" not in text
    with pytest.raises(ConfigError, match="does not travel"):
        pickle.dumps(key)
    assert key.hidden(f"it said {SECRET}!") == "it said ***!"
