"""Help says what an option is by default, and has examples that can be typed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from dask_knot.aws.template.compute import INSTANCE_TYPES
from dask_knot.cli.examples import EXAMPLES
from dask_knot.cli.main import knot
from dask_knot.cli.sections import SECTIONS

COMMANDS = dict(sorted(knot.commands.items()))


def test_every_command_has_examples() -> None:
    assert {*EXAMPLES} == {"", *COMMANDS}


@pytest.mark.parametrize("line", [one for each in EXAMPLES.values() for one in each])
def test_examples_parse(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "script.py").touch()
    name, *words = shlex.split(line)
    command = COMMANDS[name]
    with command.make_context(name, words, parent=click.Context(knot)) as context:
        assert context.params


@pytest.mark.parametrize("name", ["up", "policy"])
def test_every_option_of_a_stack_has_a_default_in_its_help(name: str) -> None:
    with click.Context(COMMANDS[name], parent=click.Context(knot, show_default=True)) as context:
        for option in COMMANDS[name].params:
            assert isinstance(option, click.Option)
            shown = option.get_help_record(context)
            assert shown is not None
            assert "[default: " in shown[1] or option.is_flag, option.name


def test_the_help_has_every_command_in_one_section_and_whole() -> None:
    listed = [name for names in SECTIONS.values() for name in names]
    assert sorted(listed) == [*COMMANDS]
    shown = CliRunner().invoke(knot, ["--help"], env={"COLUMNS": "80"}).output
    assert [line for line in shown.splitlines()[1:] if line.rstrip().endswith("...")] == []
    assert [shown.index(f"\n{title}:\n") for title in SECTIONS] == sorted(
        shown.index(f"\n{title}:\n") for title in SECTIONS
    )


def test_list_and_runs_refer_to_each_other() -> None:
    for name, other in (("list", "runs"), ("runs", "list")):
        shown = CliRunner().invoke(knot, [name, "--help"]).output
        assert f"`dask knot {other}`" in " ".join(shown.split())


def test_the_instance_types_of_the_help_are_those_of_the_template() -> None:
    shown = " ".join(CliRunner().invoke(knot, ["up", "--help"]).output.split())
    (told,) = re.findall(r"families \(c6i\).*?\[default: (.*?)\]", shown)
    for types in INSTANCE_TYPES.values():
        assert ", ".join(types) in told


def test_the_version_is_told() -> None:
    assert "version" in CliRunner().invoke(knot, ["--version"]).output
