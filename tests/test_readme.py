"""What README and docs say is so: commands, links, dependencies, and the tour's own code."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from dask_knot.extras import MODULES
from dask_knot.settings.settings import ENGINES, SECTIONS, Tempo
from tests.test_layers import imported as names_imported

FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
ROOT = Path(__file__).parent.parent
IMPORT_NAMES = {"PyYAML": "yaml", "zlib-ng": "zlib_ng"}
#: What the engine `local` alone has.
LOCAL = {"preload", "shared-memory"}
PAGES = [ROOT / "README.md", ROOT / "benchmarks/README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.fixture
def readme(project: Path) -> str:
    """Return the README's text."""
    return (project / "README.md").read_text()


def section(text: str, title: str) -> str:
    """Return what stands under one heading."""
    [body] = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return str(body)


def test_there_are_two_commands_of_one_line(readme: str) -> None:
    fences = FENCE.findall(section(readme, "Two commands"))
    assert [language for language, _ in fences] == ["sh", "sh"]
    assert all(command.count("\n") == 1 for _, command in fences)
    (_, first), (_, second) = fences
    assert first.endswith("examples/pi.py\n")
    assert second.endswith("-m pytest -n 3\n")


def test_aws_is_set_up_in_at_most_three_commands(readme: str, project: Path) -> None:
    for text, title in ((readme, "On AWS"), ((project / "docs/aws.md").read_text(), "Getting")):
        [(language, commands), *_] = FENCE.findall(section(text, rf"{title}.*?"))
        assert (language, commands.count("\n")) == ("sh", 3)
        assert [line.split("#")[0].split()[:3] for line in commands.splitlines()] == [
            ["dask", "knot", "up"],
            ["dask", "knot", "image"],
            ["python", "my_script.py"],
        ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if not link.startswith("https://")]
    missing = [link for link in links if not (page.parent / link.partition("#")[0]).exists()]
    assert missing == []


@pytest.fixture
def required(project: Path) -> set[str]:
    """Return the packages that setup.cfg requires."""
    setup = configparser.ConfigParser()
    setup.read(project / "setup.cfg")
    return set(re.findall(r"^[\w-]+", setup["options"]["install_requires"], re.MULTILINE))


def test_every_dependency_is_imported_and_declared(project: Path, required: set[str]) -> None:
    # Who wants Zarr has it: the other files don't need it.
    files = {*(project / "dask_knot").rglob("*.py")} - {project / "dask_knot" / "zarr.py"}
    imported = {name.partition(".")[0] for file in files for name in names_imported(file)}
    # Those of extras; test_layers and test_extras hold that nothing needs them without one.
    optional = {"bokeh", "certifi", *MODULES}  # certifi comes with docker
    assert imported - sys.stdlib_module_names - {"dask_knot", *optional} == {
        IMPORT_NAMES.get(name, name) for name in required
    }


def test_every_dependency_has_its_reason(readme: str, required: set[str]) -> None:
    rows = re.findall(r"^\| (`.*) \|", section(readme, "Dependencies, and why each"), re.MULTILINE)
    explained = [name for row in rows for name in re.findall(r"`([\w-]+)`", row.split("|")[0])]
    assert sorted(explained) == sorted(required)


def documented(page: str, title: str) -> dict[str, list[str]]:
    """Return the rows of the table under a heading: what stands between name and meaning."""
    rows = re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", section(page, title), re.MULTILINE)
    return {name: cells.split(" | ")[:-1] for name, cells in rows}


def meant(cell: str) -> object:
    """Return the value that a cell of a table stands for."""
    return yaml.safe_load(f'"{cell}"' if cell[0] == ":" else cell.strip("`"))


@pytest.fixture
def defaults(project: Path) -> dict[str, Any]:
    """Return what `knot.yaml` has."""
    text = (project / "dask_knot/knot.yaml").read_text()
    return dict(yaml.safe_load(text)["knot"])


@pytest.fixture
def configuration(project: Path) -> str:
    """Return the page about the configuration."""
    return (project / "docs/configuration.md").read_text()


def test_every_setting_is_documented_with_its_default(
    configuration: str, defaults: dict[str, Any]
) -> None:
    general = {name: value for name, value in defaults.items() if name not in SECTIONS}
    found = documented(configuration, "What a cluster is")
    assert {name: meant(cell) for name, (cell,) in found.items()} == general
    assert list(found) == list(general)


def test_every_number_of_an_engine_is_documented(
    configuration: str, defaults: dict[str, Any]
) -> None:
    found = documented(configuration, "What depends on the engine")
    assert set(found) == {field.name.replace("_", "-") for field in fields(Tempo)} - LOCAL
    for name, cells in found.items():
        assert [meant(cell) for cell in cells] == [defaults[one][name] for one in ENGINES], name


@pytest.mark.parametrize("engine", ["docker", "aws"])
def test_every_setting_of_an_engine_is_documented(
    engine: str, configuration: str, defaults: dict[str, Any]
) -> None:
    numbers = {field.name.replace("_", "-") for field in fields(Tempo)}
    own = {n: v for n, v in defaults[engine].items() if n not in numbers and n != "up"}
    found = documented(configuration, f"Engine `{engine}`")
    assert {name: meant(cell) for name, (cell,) in found.items()} == own


def test_the_tour_runs(readme: str, tmp_path: Path) -> None:
    first, *others = [
        code
        for language, code in FENCE.findall(section(readme, "A short tour"))
        if language == "python"
    ]
    functions, opening = first.split('if __name__ == "__main__":\n')
    body = opening + "".join(others).replace("\n", "\n        ").join(["        ", "\n"])
    script = tmp_path / "tour.py"
    script.write_text(f'{functions}if __name__ == "__main__":\n{body}')
    done = subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | {"DASK_KNOT__DASHBOARD_ADDRESS": ":0"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    squares, total, largest = done.stdout.split()
    assert int(squares) == sum(x * x for x in range(1000))
    assert int(total) == sum(2 * station + 1 for station in range(20))
    assert 0.5 < float(largest) < 0.7
