"""The lists of files in `workers` are of files that are there, and name all in the emulated AWS."""

from __future__ import annotations

import pytest

from tests import workers


def test_every_file_and_folder_is_there() -> None:
    named = {*workers.LONGEST, *workers.SLOW, *workers.QUICK}
    assert [name for name in named if not (workers.TESTS / name).exists()] == []


def test_every_file_with_an_emulated_aws_is_named(request: pytest.FixtureRequest) -> None:
    """Of those that were collected: all of them, when the whole suite is run."""
    using = {
        item.path.relative_to(workers.TESTS).as_posix()
        for item in request.session.items
        if "rig" in getattr(item, "fixturenames", ())
    }
    assert using <= workers.IN_RIG.keys()
