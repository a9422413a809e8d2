"""Docker's own logins: helpers that aren't here, and files that nobody can read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from dask_knot.errors import EngineError
from dask_knot.image.logins import NOBODY, check, notes, spared, useless_helpers, without_useless


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a helper that works, one that doesn't, and a folder for Docker's configuration."""
    (tmp_path / "bin").mkdir()
    for name, code in (("present", 0), ("broken", 1)):
        program = tmp_path / f"bin/docker-credential-{name}"
        program.write_text(f"#!/bin/sh\necho the store is locked\nexit {code}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / ".docker/cli-plugins").mkdir(parents=True)
    return tmp_path


CONFIGS: list[tuple[dict[str, Any], list[str], dict[str, Any]]] = [
    ({}, [], {"auths": {NOBODY: {}}}),
    (
        {"credsStore": "desktop", "proxies": {"default": {}}},
        ["docker-credential-desktop"],
        {"auths": {NOBODY: {}}, "proxies": {"default": {}}},
    ),
    (
        {"credsStore": "present", "auths": {"a": {}}},
        [],
        {"credsStore": "present", "auths": {"a": {}}},
    ),
    (
        {"credsStore": "broken"},
        ["docker-credential-broken"],
        {"auths": {NOBODY: {}}},
    ),
    (
        {"credHelpers": {"a": "present", "b": "gcloud"}, "credsStore": "desktop"},
        ["docker-credential-desktop", "docker-credential-gcloud"],
        {"credHelpers": {"a": "present"}, "auths": {NOBODY: {}}},
    ),
]


@pytest.mark.parametrize(("config", "missing", "kept"), CONFIGS)
def test_helpers_that_dont_work_are_left_out(
    config: dict[str, Any], missing: list[str], kept: dict[str, Any], here: Path
) -> None:
    assert [*useless_helpers(config)] == missing
    assert without_useless(config) == kept
    (here / ".docker/config.json").write_text(json.dumps(config))
    assert len(notes({}, here)) == len(missing)
    assert all(name in " ".join(notes({}, here)) for name in missing)
    with spared({}, here) as file:
        assert (file is not None) == bool(missing)
        if file is not None:
            assert json.loads(file.read_text()) == kept
            assert (file.parent / "cli-plugins").is_dir()
            assert os.stat(file.parent).st_mode & 0o077 == 0
    assert file is None or not file.exists()


def test_why_a_helper_is_of_no_use_is_said(here: Path) -> None:
    config = {"credsStore": "broken", "credHelpers": {"a": "desktop"}}
    (here / ".docker/config.json").write_text(json.dumps(config))
    said = notes({}, here)
    assert "docker-credential-broken, which fails (the store is locked)" in said[0]
    assert "docker-credential-desktop, which isn't here" in said[1]
    assert all("docker login" in line for line in said)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1]",
        '{"auths": ["a"]}',
        '{"credHelpers": "ecr-login"}',
        '{"auths": {"a": 1}}',
        '{"auths": {"a": {"auth": "bm90aGluZw=="}}}',
    ],
)
def test_what_cant_be_read_is_said_with_the_cure(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(EngineError, match=r"config\.json is damaged.*docker login"):
        check(tmp_path / "config.json")


@pytest.mark.parametrize("text", ["{}", '{"auths": {"a": {}, "b": {"auth": "bWU6cHc="}}}'])
def test_what_can_be_read_is_fine(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    check(tmp_path / "config.json")
    check(tmp_path / "none.json")
