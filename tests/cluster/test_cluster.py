"""The keywords of a cluster are its settings: in its signature, with a type, and explained."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import dask_knot.cluster
from dask_knot import KnotCluster
from dask_knot.errors import ConfigurationError
from dask_knot.settings.settings import (
    CONFIGURED,
    KEYWORDS,
    AwsSettings,
    DockerSettings,
    Settings,
)

#: Of Dask's clusters: these are no settings.
OF_DASK = ("asynchronous", "loop", "security", "silence_logs")
SIGNATURE = inspect.signature(KnotCluster)


def test_the_class_is_found_in_its_room_too() -> None:
    assert dask_knot.cluster.KnotCluster is KnotCluster
    assert "KnotCluster" in dask_knot.cluster.__all__
    with pytest.raises(AttributeError, match="no attribute 'Cluster'"):
        dask_knot.cluster.Cluster  # noqa: B018


def test_every_setting_is_a_keyword_and_every_keyword_a_setting() -> None:
    kinds = (Settings, DockerSettings, AwsSettings)
    settings = {field.name for kind in kinds for field in fields(kind)}
    settings -= {"is_named", "auto", "tempo", "docker", "aws"}  # they follow from others
    assert settings == {*KEYWORDS}
    assert {*SIGNATURE.parameters} == {*settings, *OF_DASK, "unknown"}


def test_every_keyword_has_a_type_and_is_explained() -> None:
    hints = get_type_hints(KnotCluster.__init__)
    assert [name for name, hint in hints.items() if hint is Any] == ["loop"]
    assert set(SIGNATURE.parameters) <= {*hints}
    assert KnotCluster.__doc__ is not None
    # Python 3.13 leaves out the indentation itself.
    text = inspect.cleandoc(KnotCluster.__doc__).partition("----------")[2].partition("Raises")[0]
    listed = re.findall(r"^(?:\*\*)?(\w.*?)(?: : .*)?$", text, re.MULTILINE)
    assert [name for line in listed for name in line.split(", ")] == list(SIGNATURE.parameters)


def test_none_leaves_it_to_the_configuration_but_for_the_dashboard() -> None:
    defaults = {name: SIGNATURE.parameters[name].default for name in KEYWORDS}
    assert defaults.pop("dashboard_address") is CONFIGURED
    assert set(defaults.values()) == {None}
    assert repr(CONFIGURED) == "<as configured>"


@pytest.mark.parametrize(
    ("keyword", "words"),
    [
        ({"job": 2}, r"no argument 'job'\. Did you mean 'jobs'\? There are: attempts, "),
        ({"n_workers": None}, r"no argument 'n_workers'\. Did you mean 'jobs'\?"),
        ({"stack": "mine"}, r"no argument 'stack': it belongs to engine='aws'"),
        ({"image": "x"}, r"no argument 'image': it belongs to engine='docker'"),
    ],
)
def test_others_are_answered_with_those_that_there_are(keyword: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        KnotCluster(**keyword)


@pytest.mark.parametrize("name", KEYWORDS)
def test_every_keyword_is_looked_at(name: str) -> None:
    given = {"engine": "aws", name: object()}
    with pytest.raises(ConfigurationError, match=rf"\b{name}="):
        KnotCluster(**given)


OF_OTHER_ENGINES = dict.fromkeys([*(field.name for field in fields(AwsSettings)), "jobs"])


def test_none_is_as_if_it_had_not_been_given() -> None:
    with KnotCluster("local", **OF_OTHER_ENGINES, dashboard_address=None) as cluster:
        assert (cluster.settings.docker, cluster.settings.aws) == (None, None)


PROGRAM = """
from dask_knot import KnotCluster
KnotCluster(job=2)
KnotCluster("local", jobs=2, image=None, dashboard_address=None, silence_logs=False)
"""


@pytest.mark.slow
def test_a_misspelt_keyword_is_reported_by_type_checkers(tmp_path: Path) -> None:
    mypy = pytest.importorskip("mypy.api")
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    config = Path(__file__).parents[2] / "pyproject.toml"
    found, trouble, _ = mypy.run(["--strict", "--config-file", str(config), str(file)])
    assert trouble == ""
    # Its cache may remember another folder.
    assert [line.rpartition(file.name)[2] for line in found.splitlines() if " error: " in line] == [
        ':3: error: Argument "job" to "KnotCluster" has incompatible type "int"; '
        'expected "Never"  [arg-type]'
    ]
