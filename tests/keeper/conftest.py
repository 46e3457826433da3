"""What the tests of keepers share."""

from __future__ import annotations

import pytest

from shm_exchange.runtime.warm import ensure_warm


@pytest.fixture(scope="session", autouse=True)
def warm(clean_environment: None) -> None:
    """Kernels first, so that no process waits for a compiler."""
    ensure_warm()
