"""Whatever the pages tell people to type works: Python runs, and commands are commands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import click
import pytest

from dask_knot.cli.main import knot
from tests.blocks import PAGES, PASTED, ROOT, Block, Outcome, commands_of, compiled, python_of

BLOCKS = {page: [*python_of(page)] for page in PAGES}
EXECUTED = [page for page, blocks in BLOCKS.items() if blocks and page != PASTED]
COMMANDS = {page: [*commands_of(page.read_text(encoding="utf-8"))] for page in PAGES}


def name_of(page: Path) -> str:
    """Name a page as people do."""
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[Outcome]]:
    """Execute all pages, on one cluster of a process of its own."""
    home = tmp_path_factory.mktemp("home")
    own = {name: value for name, value in os.environ.items() if not name.startswith("DASK_")}
    done = subprocess.run(
        [sys.executable, "-m", "tests.blocks", *map(name_of, EXECUTED)],
        cwd=ROOT,
        env=own | {"HOME": str(home), "DASK_KNOT__DASHBOARD_ADDRESS": ":0"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    found: dict[str, list[Outcome]] = {}
    for line in done.stdout.splitlines():
        outcome = Outcome(**json.loads(line))
        found.setdefault(outcome.page, []).append(outcome)
    if done.returncode == 0:
        assert "Traceback" not in done.stderr
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", EXECUTED, ids=name_of)
def test_the_python_of_a_page_runs(page: Path, outcomes: Mapping[str, list[Outcome]]) -> None:
    found = outcomes[name_of(page)]
    assert [one.line for one in found] == [block.line for block in BLOCKS[page]]
    assert [one.error for one in found if one.error] == []


def test_most_of_it_is_executed() -> None:
    """And what isn't says why."""
    blocks = [block for blocks in BLOCKS.values() for block in blocks]
    idle = [block for block in blocks if block.reason]
    assert len(blocks) > 20
    assert len(idle) < len(blocks) / 3
    assert [block for block in BLOCKS[PASTED] if block.reason] == []


@pytest.mark.parametrize("page", [page for page in PAGES if COMMANDS[page]], ids=name_of)
def test_commands_of_a_page_are_commands(page: Path) -> None:
    for arguments in COMMANDS[page]:
        parse(knot, arguments)


def parse(command: click.Command, arguments: list[str]) -> None:
    """Take a command apart as click does; raises a UsageError of what there is not."""
    context = click.Context(command, info_name="dask knot")
    given, left, _ = command.make_parser(context).parse_args(list(arguments))
    if isinstance(command, click.Group):
        below = command.get_command(context, left[0]) if left else None
        if below is None and not given:
            raise click.UsageError(f"there is no command {left}")
        if below is not None:
            parse(below, left[1:])
    elif left:
        raise click.UsageError(f"{command.name} takes no {left}")


@pytest.mark.parametrize(
    "line", ["nope", "up --nope", "down a", "up --platform", "rm a --yes --with-care"]
)
def test_a_command_that_is_none_is_noticed(line: str) -> None:
    [arguments] = commands_of(f"```sh\ndask knot {line}  # so\n```\n")
    with pytest.raises(click.UsageError):
        parse(knot, arguments)


def test_commands_are_found_as_people_write_them() -> None:
    text = """
```sh
dask knot up --name lab \\
    --gpu   # once
# dask knot nothing
cd x && AWS_REGION=eu-west-1 .venv/bin/dask knot shell load-3 -- nvidia-smi
```

```console
$ dask knot show stations > file
run  stations, see dask knot nothing
```

```text
$ dask knot nothing
```
"""
    assert [*commands_of(text)] == [
        ["up", "--name", "lab", "--gpu"],
        ["shell", "load-3", "--", "nvidia-smi"],
        ["show", "stations"],
    ]


def test_options_in_running_text_are_there() -> None:
    """Of commands between backquotes; what stands for a value may be left out."""
    wrong = []
    for page in PAGES:
        for code in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", page.read_text(encoding="utf-8")):
            for called, rest in re.findall(r"dask knot ([a-z]+)([^|;]*)", code):
                command = knot.get_command(click.Context(knot), called)
                known = {"--help"} | {
                    flag
                    for one in (command.params if command else ())
                    for flag in (*one.opts, *one.secondary_opts)
                }
                own = re.split(r" -- ", rest)[0]
                if command is None or not {*re.findall(r"(?<=\s)--[a-z-]+", own)} <= known:
                    wrong.append((name_of(page), code))
    assert wrong == []


def test_a_page_is_read_as_people_write_it(tmp_path: Path) -> None:
    page = ROOT / "docs/index.md"
    assert all(isinstance(block, Block) and block.code.strip() for block in BLOCKS[page])
    (tmp_path / "page.md").write_text(
        "<!-- executed before:\nx = 1\n-->\n```python\ny = x\n```\n\n"
        "<!-- not executed: it would take years -->\n\n```python\nawait nothing\n```\n\n"
        "```text\n```python\n```\n\n```python\nz = y\n```\n"
    )
    found = [
        (one.code, one.reason)
        for one in python_of(tmp_path / "page.md", root=tmp_path)
        if compiled(one)
    ]
    assert found == [
        ("x = 1\n\ny = x\n", ""),
        ("await nothing\n", "it would take years"),
        ("z = y\n", ""),
    ]
