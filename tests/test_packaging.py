"""What packagers, readers and reporters find: one version, one list of requirements, all files."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

import dask_knot

ROOT = Path(__file__).parent.parent
REPOSITORY = "https://github.com/dask-knot/dask_knot"
#: What conda-forge calls what the package index calls otherwise.
CONDA = {"dask": "dask-core", "msgpack": "msgpack-python", "PyYAML": "pyyaml"}
LINK = re.compile(r"\]\(([^)\s#]+)[^)\s]*\)")
PAGES = ("CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "SECURITY.md")
FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


@pytest.fixture(scope="module")
def setup() -> configparser.ConfigParser:
    found = configparser.ConfigParser()
    found.read(ROOT / "setup.cfg")
    return found


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_there_is_one_version() -> None:
    assert read("CITATION.cff")["version"] == dask_knot.__version__
    assert read("recipe/recipe.yaml")["context"]["version"] == dask_knot.__version__
    (newest, *_) = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest == dask_knot.__version__


def test_there_is_one_license(setup: configparser.ConfigParser) -> None:
    spdx = setup["metadata"]["license_expression"]
    assert read("CITATION.cff")["license"] == read("recipe/recipe.yaml")["about"]["license"] == spdx
    assert not any("License ::" in line for line in lines(setup["metadata"]["classifiers"]))


def test_the_recipe_requires_what_setup_requires(setup: configparser.ConfigParser) -> None:
    wanted = [Requirement(line) for line in lines(setup["options"]["install_requires"])]
    wanted_lines = {f"{CONDA.get(one.name, one.name)} {one.specifier}" for one in wanted}
    recipe = read("recipe/recipe.yaml")
    (python, *rest) = recipe["requirements"]["run"]
    assert python == "python >=${{ python_min }}"
    assert {*rest} == wanted_lines
    (build,) = re.findall(r'requires = \["(\S+?)(>=\d+)"\]', (ROOT / "pyproject.toml").read_text())
    assert " ".join(build) in recipe["requirements"]["host"]


def test_what_the_recipe_constrains_is_what_extras_want(setup: configparser.ConfigParser) -> None:
    extras = setup["options.extras_require"]
    wanted = {line.replace("docker>", "docker-py>") for line in lines(extras["aws"])}
    wanted |= {line for line in lines(extras["dashboard"]) if line.startswith("bokeh")}
    constraints = read("recipe/recipe.yaml")["requirements"]["run_constraints"]
    assert {one.replace(" ", "") for one in constraints} == wanted


def test_links_of_the_project_agree(setup: configparser.ConfigParser) -> None:
    urls = dict(line.split(" = ") for line in lines(setup["metadata"]["project_urls"]))
    assert setup["metadata"]["url"] == urls["Source"] == REPOSITORY
    about = read("recipe/recipe.yaml")["about"]
    assert (about["repository"], about["documentation"]) == (REPOSITORY, urls["Documentation"])
    citation = read("CITATION.cff")
    assert (citation["repository-code"], citation["url"]) == (REPOSITORY, urls["Documentation"])
    assert citation["references"][0]["doi"] == "10.25080/Majora-4af1f417-001"


def test_the_oldest_python_is_the_first_that_is_named(setup: configparser.ConfigParser) -> None:
    named = re.findall(r"Python :: (3\.\d+)", setup["metadata"]["classifiers"])
    assert named == sorted(named, key=lambda one: int(one.partition(".")[2]))
    (oldest,) = re.findall(r">=([\d.]+)", setup["options"]["python_requires"])
    matrix = read(".github/workflows/tests.yml")["jobs"]["fast"]["strategy"]["matrix"]
    assert oldest in (named[0], matrix["python"][0])


@pytest.mark.parametrize("page", PAGES)
def test_links_of_pages_at_the_top_lead_somewhere(page: str) -> None:
    links = LINK.findall((ROOT / page).read_text())
    assert links
    here = [link for link in links if not link.startswith("https://")]
    assert [link for link in here if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_a_form_is_yaml_with_what_github_wants(form: Path) -> None:
    found = read(str(form.relative_to(ROOT)))
    if form.stem == "config":
        assert found["contact_links"]
        return
    assert {"name", "description", "body"} <= {*found}
    ids = [field["id"] for field in found["body"] if field["type"] != "markdown"]
    assert len({*ids}) == len(ids)


def test_a_bug_report_asks_for_the_doctors() -> None:
    fields = {one.get("id"): one for one in read(".github/ISSUE_TEMPLATE/bug.yml")["body"]}
    assert "dask knot doctor --report" in fields["report"]["attributes"]["label"]
    assert fields["report"]["validations"]["required"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_do_no_more_than_it_must(workflow: Path) -> None:
    found = read(str(workflow.relative_to(ROOT)))
    assert found["permissions"] in ({}, {"contents": "read"})
    granted = [job.get("permissions", {}) for job in found["jobs"].values()]
    writes = [each for each in granted if "write" in each.values()]
    assert writes == ([{"id-token": "write"}] if workflow.stem == "release" else [])
    assert all("timeout-minutes" in job for job in found["jobs"].values())


def test_commands_of_workflows_name_files_that_are_there() -> None:
    text = "".join(workflow.read_text() for workflow in WORKFLOWS)
    assert (ROOT / ".ci/run").exists()
    assert "bash .ci/run" in text
    extras = {*re.findall(r"editable '\.\[([\w,]+)\]'", text)}
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    named = {name for extra in extras for name in extra.split(",")}
    assert named <= {*setup["options.extras_require"]}


def test_everything_in_the_repository_is_in_a_line_of_the_manifest() -> None:
    """check-manifest says the same of an sdist that is built: this takes no time."""
    command = ["git", "ls-files"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no clone")
    manifest = (ROOT / "MANIFEST.in").read_text()
    grafted = re.findall(r"^graft (\S+)", manifest, re.MULTILINE)
    included = " ".join(re.findall(r"^include (.*)", manifest, re.MULTILINE)).split()
    # These setuptools and the build find by themselves.
    own = ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.cfg", ".gitignore")
    left = [
        name
        for name in done.stdout.splitlines()
        if name.split("/")[0] not in (*grafted, "dask_knot") and name not in (*included, *own)
    ]
    assert left == []
