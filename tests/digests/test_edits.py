"""Edits that change what is computed change digests, and no others do."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.digests.edits import (
    KEEPING,
    PLACES,
    PROGRAM,
    Change,
    changes,
    kept,
    program_digest,
)

CHANGES = changes(PROGRAM)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="module")
def before(folder: Path) -> bytes:
    return program_digest(PROGRAM, folder)


@pytest.mark.parametrize("edit", KEEPING, ids=lambda edit: edit.__name__)
@pytest.mark.parametrize("place", PLACES)
def test_what_computes_the_same_has_the_same_digest(
    edit: object, place: str, folder: Path, before: bytes
) -> None:
    assert callable(edit)
    edited = PROGRAM.with_text(place, edit(PROGRAM.texts[place], Random(1)))
    assert edited != PROGRAM
    assert program_digest(edited, folder) == before


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_many_such_edits_at_once(seed: int, folder: Path, before: bytes) -> None:
    assert program_digest(kept(PROGRAM, Random(seed)), folder) == before


@pytest.mark.parametrize("change", CHANGES, ids=lambda c: f"{c.place}-{c.line}-{c.what}")
def test_what_computes_something_else_has_another_digest(
    change: Change, folder: Path, before: bytes
) -> None:
    assert program_digest(PROGRAM.with_text(change.place, change.text), folder) != before
