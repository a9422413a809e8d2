"""Whose files containers write, on engines of every kind."""

from __future__ import annotations

from typing import Any

import pytest

from dask_knot.local.ownership import limits, owner_options

PLAIN = ["name=apparmor", "name=seccomp,profile=default", "name=cgroupns"]


@pytest.mark.parametrize(
    ("security", "options"),
    [
        (None, {"user": "7:8"}),
        (PLAIN, {"user": "7:8"}),
        ([*PLAIN, "name=rootless"], {"user": "0:0"}),
        (["name=seccomp,profile=default", "name=rootless", "name=userns"], {"user": "0:0"}),
        ([*PLAIN, "name=userns"], {"user": "7:8", "userns_mode": "host"}),
        (["name=selinux"], {"user": "7:8", "security_opt": ["label=disable"]}),
        (
            ["name=rootless", "name=selinux"],
            {"user": "0:0", "security_opt": ["label=disable"]},
        ),
    ],
)
def test_files_belong_to_who_started_the_job(
    security: list[str] | None, options: dict[str, Any]
) -> None:
    assert owner_options({"SecurityOptions": security}, 7, 8) == options


def test_older_podmans_say_apart_that_they_are_rootless() -> None:
    info = {"SecurityOptions": ["name=seccomp,profile=default"], "Rootless": True}
    assert owner_options(info, 7, 8) == {"user": "0:0"}


@pytest.mark.parametrize(
    ("info", "found"),
    [
        ({}, {"mem_limit": "5m", "memswap_limit": "5m"}),
        ({"MemoryLimit": True}, {"mem_limit": "5m", "memswap_limit": "5m"}),
        ({"MemoryLimit": False}, {}),
    ],
)
def test_memory_is_limited_where_the_engine_can(
    info: dict[str, Any], found: dict[str, Any]
) -> None:
    assert limits(info, 5) == found
