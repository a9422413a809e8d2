"""Names that AWS takes and names that it doesn't."""

from __future__ import annotations

import pytest

from dask_knot.aws import names
from dask_knot.errors import ConfigurationError


@pytest.mark.parametrize("name", ["dask-knot", "ab", "a1-b2", "a" * 32])
def test_stack_names_that_are_right(name: str) -> None:
    assert names.check_stack("name", name) == name


@pytest.mark.parametrize(
    "name", ["", "a", "Dask", "1abc", "-ab", "ab-", "a--b", "a_b", "a.b", "a" * 33, "ab\n"]
)
def test_stack_names_that_are_wrong(name: str) -> None:
    with pytest.raises(ConfigurationError, match="lower case letters"):
        names.check_stack("name", name)


@pytest.mark.parametrize("name", ["abc", "my-bucket.2", "1st-bucket", "a" * 63])
def test_bucket_names_that_are_right(name: str) -> None:
    assert names.check_bucket("bucket", name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", "ab", "a" * 64, "My-bucket", "a_b_c", "-abc", "abc-", "a..b", "192.168.1.1"),
        *("xn--abc", "abc-s3alias", "s3://bucket", "bucket/prefix", "sthree-abc"),
    ],
)
def test_bucket_names_that_are_wrong(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^existing_bucket=.*3 to 63"):
        names.check_bucket("existing_bucket", name)


@pytest.mark.parametrize(
    ("given", "kept"), [("knot", "knot"), ("/a/b/", "a/b"), ("a.b_c-d", "a.b_c-d")]
)
def test_prefixes_lose_the_slashes_around_them(given: str, kept: str) -> None:
    assert names.check_prefix("prefix", given) == kept


@pytest.mark.parametrize("prefix", ["", "/", "a//b", "a b", "../a", "a/..", "ä", "a" * 201, "a*"])
def test_prefixes_that_are_wrong(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^prefix="):
        names.check_prefix("prefix", prefix)


@pytest.mark.parametrize("name", ["ab", "team/dask-knot", "a.b_c"])
def test_repository_names_that_are_right(name: str) -> None:
    assert names.check_repository("repository", name) == name


@pytest.mark.parametrize("name", ["a", "", "Team/x", "a//b", "-ab", "ab-", "a" * 257])
def test_repository_names_that_are_wrong(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^repository="):
        names.check_repository("repository", name)


def test_what_is_made_from_the_longest_name_fits() -> None:
    stack = "a" * 32
    assert len(names.compute_environment(stack, "fargate", "spot-best-fit")) <= 128
    assert len(names.queue(stack, "fargate")) <= 128
    assert len(f"{stack}-bucket-".lower()) + 12 <= 63
