"""What Cloudknot calls otherwise is answered with what it is here."""

from __future__ import annotations

import getpass
import re
from pathlib import Path
from typing import Any

import pytest

from dask_knot import Knot
from dask_knot.cli.flags import IMAGE, UP
from dask_knot.errors import ConfigurationError
from dask_knot.knot.vocabulary import CLOBBER, KNOT, MAP
from dask_knot.settings.settings import KEYWORDS

#: The signatures of Cloudknot 0.6.1, but for what is the same here.
OF_KNOT = [
    "pars",
    "pars_policies",
    "docker_image",
    "base_image",
    "image_script_path",
    "image_work_dir",
    "image_github_installs",
    "username",
    "repo_name",
    "image_tags",
    "no_image_cache",
    "job_definition_name",
    "job_def_vcpus",
    "n_gpus",
    "retries",
    "compute_environment_name",
    "instance_types",
    "min_vcpus",
    "max_vcpus",
    "desired_vcpus",
    "volume_size",
    "image_id",
    "ec2_key_pair",
    "bid_percentage",
    "job_queue_name",
    "priority",
    "aws_resource_tags",
]
OF_MAP = ["env_vars", "max_threads", "job_type"]
OF_CLOBBER = ["clobber_pars", "clobber_repo", "clobber_image"]


def test_all_arguments_of_cloudknot_are_known() -> None:
    assert sorted(KNOT) == sorted(OF_KNOT)
    assert sorted(MAP) == sorted(OF_MAP)
    assert sorted(CLOBBER) == sorted(OF_CLOBBER)
    assert not {*KNOT} & {*KEYWORDS}


@pytest.mark.parametrize("name", OF_KNOT)
def test_an_argument_of_cloudknots_knot_is_refused_before_anything_is_made(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=f"Knot has no argument '{name}': here it is "):
        Knot(name="pi", func=len, store=tmp_path, **{name: "anything"})
    assert list(tmp_path.iterdir()) == []


def test_what_is_said_instead_exists() -> None:
    for said in (*KNOT.values(), *MAP.values(), *CLOBBER.values()):
        for command, flag in re.findall(r"`dask knot (up|image)[^`]*? --([a-z-]+)", said):
            flags = {"up": [*UP, "tag", "name"], "image": [*IMAGE, "package", "line"]}[command]
            assert flag.replace("-", "_") in flags, said
        word = re.match(r"([a-z_]+)($|=|:)", said)
        if word is not None and word[1] not in ("func", "nothing", "name", "environment"):
            assert word[1] in KEYWORDS, said


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"memory": 8000}, "memory='8000 MiB' here"),
        ({"memori": "1 GiB"}, "Did you mean 'memory'"),
        ({"jobs": 0}, "jobs=0 is wrong"),
        ({"name": "pi calc"}, "name='pi calc' is wrong: .*letters, digits"),
        ({"name": "x" * 81}, "at most 80"),
        ({"func": 7}, "func=7 is wrong: it should be a function"),
    ],
    ids=str,
)
def test_wrong_settings_are_refused_at_once(
    given: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Knot(**{"name": "pi", "func": len, "store": tmp_path, **given})
    assert list(tmp_path.iterdir()) == []


def test_who_has_no_name_has_a_knot_by_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", nobody)
    with Knot(func=len, store=tmp_path, jobs=1, progress=False) as knot:
        assert knot.name.endswith("-default")
