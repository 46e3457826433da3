"""Names fit two words of a record, and what cannot be a name is refused before it gets anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shm_exchange.domain.errors import ConfigError
from shm_exchange.domain.instrument import Instrument
from shm_exchange.domain.names import checked_exchange_name, checked_name, name_words, nearest, words_name

NAMES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=16)
WORDS = st.integers(-(2**63), 2**63 - 1)


@given(NAMES)
def test_a_name_is_its_two_words(name: str) -> None:
    assert checked_name(name, "session") == name
    low, high = name_words(name)
    assert all(-(2**63) <= word < 2**63 for word in (low, high))
    assert words_name(low, high) == name


@given(NAMES, NAMES)
def test_different_names_have_different_words(one: str, other: str) -> None:
    assert (name_words(one) == name_words(other)) == (one == other)


@given(WORDS, WORDS)
def test_any_words_can_be_shown(low: int, high: int) -> None:
    assert len(words_name(low, high)) <= 16


BAD_NAMES = ["", "a" * 17, "two words", "tab\t", "line\n", "nul\0", "größe", "\x7f", "🙂", 5, None, b"bytes"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ConfigError, match=r"session .* must be 1 to 16 printable ASCII characters without spaces"):
        checked_name(name, "session")
    with pytest.raises(ConfigError, match="symbol"):
        Instrument(name)


@pytest.mark.parametrize("name", ["demo", "A-1_b", "x" * 48])
def test_what_can_be_an_exchange(name: str) -> None:
    assert checked_exchange_name(name) == name


@pytest.mark.parametrize("name", ["", "x" * 49, "../escape", "a/b", "a.b", "a b", "demo\n", "ä", None, 7])
def test_what_cannot_be_an_exchange(name: str) -> None:
    """It becomes part of a file name."""
    with pytest.raises(ConfigError, match="must be 1 to 48 letters, digits"):
        checked_exchange_name(name)


def test_a_misspelt_word_finds_its_neighbour() -> None:
    assert nearest("dept", ["depth", "name"]) == "; did you mean 'depth'?"
    assert nearest("zzz", ["depth", "name"]) == ""
    assert nearest("depth", []) == ""
