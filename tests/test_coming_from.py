"""The pages for people who come from elsewhere: all of Cloudknot is named, and what is named is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from dask_knot.cli.main import knot as command
from dask_knot.knot import vocabulary
from dask_knot.settings.settings import KEYWORDS
from tests.test_readme import FENCE, ROOT, section

PAGES = [*sorted((ROOT / "docs").glob("coming-from-*.md")), ROOT / "docs/knot.md"]
CLOUDKNOT = (ROOT / "docs/coming-from-cloudknot.md").read_text()

#: Of Cloudknot 0.6.1, by the headings of the page.
KNOT = """
name pars pars_policies docker_image base_image func image_script_path image_work_dir
image_github_installs username repo_name image_tags no_image_cache job_definition_name
job_def_vcpus memory n_gpus retries compute_environment_name instance_types min_vcpus max_vcpus
desired_vcpus volume_size image_id ec2_key_pair bid_percentage job_queue_name priority
aws_resource_tags
"""
MAP = "iterdata env_vars max_threads starmap job_type"
CLOBBER = "clobber_pars clobber_repo clobber_image"
MEMBERS = f"""
knot_name tags stack_id pars docker_image docker_repo job_definition job_queue compute_environment
jobs job_ids view_jobs clobber name clobbered region profile {CLOBBER}
"""
PARS = """
name batch_service_role_name ecs_instance_role_name spot_fleet_role_name policies use_default_vpc
ipv4_cidr instance_tenancy aws_resource_tags clobber
"""
IMAGE = """
name func script_path dir_name base_image github_installs ignore_installed pin_pip_versions username
overwrite build push clobber
"""
HELPERS = """
get_profile set_profile list_profiles get_region set_region get_ecr_repo set_ecr_repo get_s3_params
set_s3_params refresh_clients get_tags get_user get_config_file add_resource remove_resource
verify_sections prune_stacks prune
"""
CONFIGURATION = [
    *(f"[aws] {option}" for option in ["profile", "region", "ecr-repo", "s3-bucket"]),
    *(f"[aws] {option}" for option in ["s3-bucket-policy", "s3-sse", "configured"]),
    *(f"[{kind} NAME]" for kind in ["pars", "knot", "docker-image"]),
    *(f"[{kind} PROFILE REGION]" for kind in ["docker-repos", "batch-jobs"]),
    *(f"CLOUDKNOT_{name}" for name in ["CONFIG_FILE", "S3_BUCKET", "ECR_REPO", "LOGLEVEL"]),
]


def named(title: str) -> list[str]:
    """Return what the table under a heading begins its rows with."""
    return re.findall(r"^\| `([^`]+)` \|", section(CLOUDKNOT, title), re.MULTILINE)


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("Knot", KNOT.split()),
        ("Knot.map", MAP.split()),
        ("What a knot has and does", MEMBERS.split()),
        ("Pars", PARS.split()),
        ("DockerImage", IMAGE.split()),
        ("Configuration", CONFIGURATION),
        ("Helpers", ["cloudknot configure", *HELPERS.split()]),
    ],
)
def test_everything_of_cloudknot_is_named_once(title: str, names: list[str]) -> None:
    assert sorted(named(title)) == sorted(names)


def test_what_a_knot_refuses_is_what_cloudknot_has() -> None:
    same = {"name", "func", "memory"}
    assert {*vocabulary.KNOT} == {*KNOT.split()} - same
    assert {*vocabulary.MAP} == {*MAP.split()} - {"iterdata", "starmap"}
    assert {*vocabulary.CLOBBER} == {*CLOBBER.split()}


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Find commands in code, with the options that they are given."""
    for code in re.findall(r"`([^`\n]+)`", text):
        for name, rest in re.findall(r"dask knot (\w+)([^`]*)", code):
            yield name, re.findall(r"(--[a-z-]+)", rest)


REFUSALS = " ".join([*vocabulary.KNOT.values(), *vocabulary.CLOBBER.values()])
TEXTS = {page.stem: page.read_text() for page in PAGES} | {"refusals": REFUSALS}


@pytest.mark.parametrize("name", TEXTS)
def test_commands_and_their_options_are_there(name: str) -> None:
    assert isinstance(command, click.Group)
    for called, options in commands(FENCE.sub("", TEXTS[name])):
        known = {flag for one in command.commands[called].params for flag in one.opts}
        assert {*options} <= known, called


def test_there_are_commands_to_look_at() -> None:
    assert len([*commands(REFUSALS)]) > 10
    assert ("up", ["--platform", "--spot-percentage"]) in commands(CLOUDKNOT)


@pytest.mark.parametrize("name", TEXTS)
def test_settings_are_there(name: str) -> None:
    """But for those of what was before."""
    text = TEXTS[name].partition("# now")[2] or TEXTS[name]
    calls = re.findall(r"\b(?:Knot|KnotCluster)\(([^`]*?)\)[`\n,:;. ]", text)
    given = {name for call in calls for name in re.findall(r"(\w+)=", call)}
    assert given - {"func"} <= {*KEYWORDS}


def test_a_first_knot_runs(tmp_path: Path) -> None:
    page = (ROOT / "docs/knot.md").read_text()
    first, later = [code for language, code in FENCE.findall(page) if language == "python"]
    script = tmp_path / "first.py"
    body = later.replace("\n", "\n    ")
    script.write_text(f"{first}\n    {body}\n    print(len(counts))\n    knot.clobber(yes=True)\n")
    done = subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | {"DASK_KNOT__STORE": str(tmp_path / "store")},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pi, *table, count = done.stdout.splitlines()
    assert 3.13 < float(pi) < 3.15
    assert re.search(r"pi-calc-0 +SUCCEEDED", "\n".join(table))
    assert count == "100"
