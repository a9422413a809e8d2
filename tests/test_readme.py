"""What README and docs say is so: commands, links, dependencies, and the tour's own code."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
ROOT = Path(__file__).parent.parent
IMPORT_NAMES = {"PyYAML": "yaml"}
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
    assert second.endswith("-m pytest\n")


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
    line = re.compile(r"^ *(?:from|import) (\w+)", re.MULTILINE)
    files = (project / "dask_knot").rglob("*.py")
    imported = {name for file in files for name in line.findall(file.read_text())}
    assert imported - sys.stdlib_module_names - {"dask_knot"} == {
        IMPORT_NAMES.get(name, name) for name in required
    }


def test_every_dependency_has_its_reason(readme: str, required: set[str]) -> None:
    rows = re.findall(r"^\| (`.*) \|", section(readme, "Dependencies, and why each"), re.MULTILINE)
    explained = [name for row in rows for name in re.findall(r"`([\w-]+)`", row.split("|")[0])]
    assert sorted(explained) == sorted(required)


def test_every_setting_is_documented_with_its_default(project: Path) -> None:
    defaults = yaml.safe_load((project / "dask_knot/knot.yaml").read_text())["knot"]
    flat = {name: value for name, value in defaults.items() if name != "local"} | defaults["local"]
    page = (project / "docs/configuration.md").read_text()
    documented = dict(re.findall(r"^\| `([a-z-]+)` \| (.*?) \|", page, re.MULTILINE))
    assert list(documented) == list(flat)
    del documented["preload"]
    for name, text in documented.items():
        assert yaml.safe_load(f'"{text}"' if text[0] == ":" else text.strip("`")) == flat[name], (
            name
        )


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
