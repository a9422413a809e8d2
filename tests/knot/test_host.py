"""The session of a knot is known on this machine for as long as it is open."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_knot import Knot
from dask_knot.runs.notices import open_clusters, open_premises
from tests.knot.functions import double


def test_others_find_it_until_it_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with Knot("found", double, store=tmp_path / "store", jobs=1, progress=False) as knot:
        (told,) = open_premises()
        assert (told.run, told.engine, told.is_named) == ("found", "local", True)
        assert told.store == knot.session.run.store_url
        assert open_clusters() == {}  # nobody may take it for a scheduler
        again = Knot("found", double, store=tmp_path / "store", jobs=1, progress=False)
        again.host.end_now()  # as by a signal
        assert open_premises() == [told]
        again.close()
    assert open_premises() == []
