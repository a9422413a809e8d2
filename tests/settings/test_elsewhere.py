"""Who uses another cluster's name for a setting is told what it is called here."""

from __future__ import annotations

import pytest

from dask_knot.errors import ConfigurationError
from dask_knot.settings.elsewhere import MEANT
from dask_knot.settings.settings import KEYWORDS, resolve


def test_every_name_that_is_suggested_exists() -> None:
    assert {*MEANT.values()} <= {*KEYWORDS}
    assert not {*MEANT} & {*KEYWORDS}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("vcpus", "cores"),
        ("n_workers", "jobs"),
        ("workers", "jobs"),
        ("mem", "memory"),
        ("ram", "memory"),
        ("memory_limit", "memory"),
        ("walltime", "timeout"),
        ("threads_per_worker", "cores"),
    ],
)
def test_the_name_that_means_the_same_is_suggested(given: str, meant: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{given}'. Did you mean '{meant}'"):
        resolve({given: 2})
