"""What README and docs say is so: commands, links, dependencies, and the tour's own code."""

from __future__ import annotations

import ast
import configparser
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
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
SITE = "https://dask-knot.readthedocs.io"
CODE = "https://github.com/dask-knot/dask_knot"
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
    # Neither needs the other, nor an environment that somebody has made.
    assert all(one.startswith("python3 -m venv .venv && .venv/bin/pip ") for one in (first, second))


def test_aws_is_set_up_in_at_most_three_commands(readme: str, project: Path) -> None:
    for text, title in ((readme, "On AWS"), ((project / "docs/aws.md").read_text(), "Getting")):
        [(language, commands), *_] = FENCE.findall(section(text, rf"{title}.*?"))
        assert (language, commands.count("\n")) == ("sh", 3)
        assert [line.split("#")[0].split()[:3] for line in commands.splitlines()] == [
            ["dask", "knot", "up"],
            ["dask", "knot", "image"],
            ["python", "my_script.py"],
        ]


def anchors(page: Path) -> set[str]:
    """Name the headings of a page as links do."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    words = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).lower() for title in titles)
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in words}


def test_links_of_the_readme_work_wherever_it_is_shown(readme: str) -> None:
    """A package index shows it without the files beside it."""
    links = LINK.findall(readme)
    inside = [link for link in links if link.startswith("#")]
    assert {link[1:] for link in inside} <= anchors(ROOT / "README.md")
    assert [one for one in links if not one.startswith("https://")] == inside
    ours = [one.removeprefix(f"{SITE}/en/latest/") for one in links if one.startswith(f"{SITE}/")]
    assert len(ours) > 10
    for page, _, anchor in (one.partition("#") for one in ours):
        [file] = (ROOT / "docs").glob(f"{page.removesuffix('.html')}.*")
        assert not anchor or anchor in anchors(file), f"{page} has no {anchor}"
    files = [one.partition("/blob/main/")[2] for one in links if one.startswith(f"{CODE}/")]
    assert [file for file in files if not (ROOT / file).is_file()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = [
        link for link in LINK.findall(page.read_text()) if not link.startswith(("https://", "#"))
    ]
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
    found = documented(configuration, "Settings of every cluster")
    assert {name: meant(cell) for name, (cell,) in found.items()} == general
    assert list(found) == list(general)


def test_every_number_of_an_engine_is_documented(
    configuration: str, defaults: dict[str, Any]
) -> None:
    found = documented(configuration, "Settings that depend on the engine")
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


@dataclass
class Pasted:
    """A line of the tour, what its comment promises, and what Python printed."""

    line: str
    promised: str
    printed: str


class Terminal:
    """An interactive Python behind a terminal, into which lines are pasted."""

    PROMPTS = (b">>> ", b"... ")

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._screen, inner = pty.openpty()
        self.python = subprocess.Popen(
            [sys.executable, "-i", "-q"],
            env=environment,
            cwd=folder,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
        )
        os.close(inner)
        self.read()

    def read(self, seconds: float = 100) -> str:
        """Read until Python asks for more, or has ended."""
        found, deadline = b"", time.monotonic() + seconds
        while not found.endswith(self.PROMPTS):
            left = deadline - time.monotonic()
            assert left > 0, f"no prompt came after {found!r}"
            if select.select([self._screen], [], [], left)[0]:
                try:
                    found += os.read(self._screen, 65536)
                except OSError:  # the other end is closed
                    break
        return found.decode().replace("\r", "")

    def paste(self, line: str) -> str:
        """Give a line, and return what is printed before the next prompt."""
        os.write(self._screen, f"{line}\n".encode())
        _, _, printed = self.read().partition("\n")
        return printed.rpartition("\n")[0]

    def leave(self) -> str:
        """End Python as people do, and return what it still prints."""
        os.write(self._screen, b"\x04")
        printed = self.read()
        assert self.python.wait(60) == 0
        return printed

    def close(self) -> None:
        """End Python in any case."""
        self.python.kill()
        self.python.wait()
        os.close(self._screen)


def blocks_of_the_tour(readme: str) -> list[list[str]]:
    """Return all Python of the README, as lines."""
    return [code.splitlines() for language, code in FENCE.findall(readme) if language == "python"]


def pasted(terminal: Terminal, blocks: list[list[str]]) -> Iterator[Pasted]:
    """Paste blocks, one after the other; a block ends as people end it."""
    for block in blocks:
        for line in [*block, ""]:
            code, _, promised = line.partition("  # ")
            yield Pasted(code, promised, terminal.paste(line))


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """Open Python where nothing is configured."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("DASK_")}
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data"), "TERM": "dumb"}
    port = {"DASK_KNOT__DASHBOARD_ADDRESS": ":0", "PYTHON_BASIC_REPL": "1"}
    opened = Terminal(own | home | port, tmp_path)
    yield opened
    opened.close()


@pytest.mark.timeout(300)
def test_the_tour_runs_on_the_cluster_as_it_is_pasted(readme: str, terminal: Terminal) -> None:
    blocks = blocks_of_the_tour(readme)
    assert blocks[0][-2:] == ["cluster = KnotCluster()", "client = Client(cluster)"]
    [closing] = [n for n, block in enumerate(blocks) if "cluster.close()" in block]
    lines = [*pasted(terminal, blocks[:closing])]
    names = terminal.paste("sorted({name for job in cluster.jobs for name in job.tasks})")
    assert {"square", "load", "total", "invert", "random_sample"} <= {*ast.literal_eval(names)}
    away = terminal.paste("import os; client.submit(os.getpid).result() != os.getpid()")
    assert away == "True"
    lines += pasted(terminal, blocks[closing:-1])
    assert "SUCCEEDED" in terminal.paste("knot.view_jobs()")
    lines += pasted(terminal, blocks[-1:])
    assert terminal.leave().strip() == ""
    assert "Traceback" not in "".join(one.printed for one in lines)
    compare(lines)


def compare(lines: list[Pasted]) -> None:
    """See that what is promised is printed, and nothing else is."""
    shown = [one for one in lines if one.promised]
    exact = [one for one in shown if re.fullmatch(r"\d+|\w+\(.*\)", one.promised)]
    roughly = [one for one in shown if one.promised.startswith("about ")]
    assert (len(exact), len(roughly)) == (3, 2)
    assert [one.printed for one in exact] == [one.promised for one in exact]
    for one in roughly:
        value = float(re.sub(r"np\.float64\((.*)\)", r"\1", one.printed.splitlines()[-1]))
        assert value == pytest.approx(float(one.promised.split()[1]), abs=0.01)
    others = {one.line: one.printed for one in shown if one not in [*exact, *roughly]}
    [plan, jobs, link] = others.values()
    assert "stages" in plan
    assert "square" in jobs
    assert link.startswith("'http://")
    silent = [one for one in lines if not one.promised and one.line != MAPPED]
    assert [one for one in silent if one.printed.strip()] == []


#: The line in which a bar moves.
MAPPED = "counts = knot.map([1_000_000] * 100).result()"
