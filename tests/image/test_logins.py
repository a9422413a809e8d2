"""Docker's own logins: helpers that aren't here, and files that nobody can read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from dask_knot.errors import EngineError
from dask_knot.image.logins import NOBODY, check, missing_helpers, notes, spared, without_missing


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have one helper, `present`, and a folder for Docker's configuration."""
    program = tmp_path / "bin/docker-credential-present"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
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
        {"credHelpers": {"a": "present", "b": "gcloud"}, "credsStore": "desktop"},
        ["docker-credential-desktop", "docker-credential-gcloud"],
        {"credHelpers": {"a": "present"}, "auths": {NOBODY: {}}},
    ),
]


@pytest.mark.parametrize(("config", "missing", "kept"), CONFIGS)
def test_helpers_that_arent_here_are_left_out(
    config: dict[str, Any], missing: list[str], kept: dict[str, Any], here: Path
) -> None:
    assert missing_helpers(config) == missing
    assert without_missing(config) == kept
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
