"""The specification of an image: keyword before configuration before default."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import dask
import pytest

from dask_knot.errors import ConfigurationError
from dask_knot.image.spec import ImageSpec, resolve_spec
from dask_knot.settings.defaults import DEFAULTS


def test_the_packaged_defaults_are_those_of_the_code() -> None:
    packaged = DEFAULTS["build"]
    assert list(packaged) == [field.name for field in fields(ImageSpec)]
    with dask.config.set({"knot.build": packaged}):
        assert resolve_spec({}) == ImageSpec()


def test_settings_come_from_keywords_then_configuration() -> None:
    configured = {"packages": ["pandas", "scipy"], "debian": "git,libgomp1", "base": None}
    with dask.config.set({"knot.build": configured}):
        spec = resolve_spec({"packages": ("zarr",), "lines": [], "source": Path("a.py")})
    assert spec == ImageSpec(packages=("zarr",), debian=("git", "libgomp1"), source="a.py")
    with dask.config.set({"knot.build": {"lines": "RUN a, b\nRUN c"}}):
        assert resolve_spec({}).lines == ("RUN a, b", "RUN c")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"package": ("a",)}, "packages"),
        ({"platform": "linux/386"}, "linux/arm64"),
        ({"network": "bridge"}, "host"),
        ({"packages": 3}, "a list of texts"),
    ],
)
def test_wrong_settings_are_answered_with_the_valid_ones(given: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        resolve_spec(given)
    with dask.config.set({"knot.build": given}), pytest.raises(ConfigurationError, match=says):
        resolve_spec({})


@pytest.mark.parametrize(
    ("given", "configured", "says"),
    [
        ({"packages": 3}, {}, "^packages=3 is wrong: it should be a list of texts"),
        ({}, {"packages": 3}, "^knot.build.packages=3 is wrong: it should be a list of texts"),
        ({}, {"network": "bridge"}, "^knot.build.network='bridge' is wrong"),
        ({"network": "bridge"}, {"network": "host"}, "^network='bridge' is wrong"),
        ({"package": "a"}, {}, r"^an image has no setting 'package'\. Did you mean 'packages'"),
        ({}, {"package": "a"}, "^in the configuration, knot.build has no setting 'package'"),
        ({}, "pandas", "^knot.build='pandas' is wrong: it should be a mapping of settings"),
    ],
)
def test_an_error_says_where_the_value_came_from(given: Any, configured: Any, says: str) -> None:
    with (
        dask.config.set({"knot.build": configured}),
        pytest.raises(ConfigurationError, match=says),
    ):
        resolve_spec(given)


@pytest.mark.parametrize("nothing", [None, [], ""])
def test_nothing_in_the_configuration_means_the_default(nothing: Any) -> None:
    configured = dict.fromkeys(DEFAULTS["build"], nothing)
    with dask.config.set({"knot.build": configured}):
        assert resolve_spec({}) == ImageSpec()


def test_an_own_dockerfile_says_where_to_start(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM example\n")
    with pytest.raises(ConfigurationError, match="base"):
        ImageSpec(dockerfile=str(tmp_path / "Dockerfile"), base="other")
    with pytest.raises(ConfigurationError, match="a file that exists"):
        ImageSpec(dockerfile=str(tmp_path / "none"))
