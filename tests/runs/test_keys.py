"""Keys as people type them."""

from __future__ import annotations

import re

import pytest

from dask_knot.errors import ConfigurationError
from dask_knot.runs.keys import find_key, nearest_names

KEYS = ["load-3", "load-30", ("x-1a", 0, 0), ("x-1a", 0, 1), ("y", "a b"), "sum"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("load-3", "load-3"),
        ("load-30", "load-30"),
        ("su", "sum"),
        ("('x-1a', 0, 0)", ("x-1a", 0, 0)),
        ("(x-1a,0,1)", ("x-1a", 0, 1)),  # as a shell leaves it
        ('("x-1a", 0, 0)', ("x-1a", 0, 0)),
        ("('y'", ("y", "a b")),
        ("('y', 'a b')", ("y", "a b")),
        (" sum ", "sum"),
        ("x-1a:0:1", ("x-1a", 0, 1)),
        ("x-1a,0,1", ("x-1a", 0, 1)),
        ("y", ("y", "a b")),
    ],
)
def test_found(text: str, key: object) -> None:
    assert find_key(text, KEYS) == key


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("load", "2 keys of the run begin with 'load': load-3, load-30"),
        ("('x-1a'", "2 keys"),
        ("x-1a", "2 keys of the run begin with 'x-1a': ('x-1a', 0, 0), ('x-1a', 0, 1)"),
        ("sun", "no graph of the run has a key 'sun'; similar keys: sum"),
        (
            "qqq",
            "no graph of the run has a key 'qqq'; the outputs of jobs are load, x, y, sum. Keys",
        ),
        ("", "6 keys"),
    ],
)
def test_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^" + re.escape(said)):
        find_key(text, KEYS)


def test_a_key_of_several_plans_is_one() -> None:
    assert find_key("su", ["sum", "sum"]) == "sum"


def test_nearest_names_come_first_and_none_is_left_out() -> None:
    assert nearest_names("climat", ["zebra", "climate", "x"])[0] == "climate"
    assert sorted(nearest_names("climat", ["zebra", "climate", "x"])) == ["climate", "x", "zebra"]
    assert nearest_names("a", []) == []
