"""The installer of examples/nsis on a processor without AVX: the product, which needs AVX2, is not installed there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import setups
import written

if TYPE_CHECKING:
    from pathlib import Path

PAGE = written.texts()["docs/installers.md"]
pytestmark = [
    setups.needs_installers,
    pytest.mark.skipif("DEPWALK_CPU" not in os.environ, reason="needs a bed with another processor"),
]


def test_what_the_author_requires_of_the_processor_refuses_the_product(tmp_path: Path) -> None:
    outcome = setups.run("example-product-setup.exe", tmp_path)

    assert (outcome.code, outcome.installed, outcome.registered) == (16, [], False)
    assert outcome.temporary == []
    (shown,) = (block.lines for block in written.blocks(PAGE) if block.lines[:1] == ["Example Product"])
    head, tail = " ".join(shown).split("   ... ")  # the page folds long lines
    printed = [line for line in outcome.log.splitlines() if line]
    assert (head, tail) == (" ".join(printed[:3]), printed[-1])


def test_what_the_author_did_not_know_shows_itself_when_the_product_is_loaded(tmp_path: Path) -> None:
    outcome = setups.run("undeclared.exe", tmp_path)

    assert (outcome.code, outcome.installed, outcome.registered) == (16, [], False)
    assert outcome.temporary == []
    assert outcome.log.splitlines()[-1].startswith("not installed: vectors.dll uses AVX instructions")
