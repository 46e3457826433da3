"""Asserts in the helpers beside the tests explain themselves too."""

import pytest

pytest.register_assert_rewrite("tests.engine.ledger", "tests.engine.table")
