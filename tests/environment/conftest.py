"""Packages that are installed by their metadata only, made up by the tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pytest

from dask_knot.environment.distributions import find

Install = Callable[..., Distribution]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder of installed packages that Python looks into first."""
    folder = tmp_path / "prefix" / "lib" / "python3" / "site-packages"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.fixture
def install(site: Path) -> Install:
    """Give a function that installs packages: their files, and what their metadata say."""

    def make(
        name: str,
        version: str = "1.0",
        files: Mapping[str, str] | None = None,
        direct_url: Mapping[str, Any] | None = None,
        needs: Sequence[str] = (),
        **texts: str,
    ) -> Distribution:
        info = f"{name.replace('-', '_')}-{version}.dist-info"
        told = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        told += "".join(f"Requires-Dist: {need}\n" for need in needs)
        listed = {f"{name.replace('-', '_')}.py": ""} if files is None else dict(files)
        listed |= {f"{info}/METADATA": told}
        listed |= {f"{info}/{key}": text for key, text in texts.items()}
        if direct_url is not None:
            listed[f"{info}/direct_url.json"] = json.dumps(direct_url)
        record = "".join(f"{path},,{len(text)}\n" for path, text in listed.items())
        listed[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
        for path, text in listed.items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_text(text)
        found = find(name)
        assert found is not None
        return found

    return make
