"""Help says what an option is by default, and has examples that can be typed."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest

from dask_knot.cli.examples import EXAMPLES
from dask_knot.cli.main import knot

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


def test_the_version_is_told() -> None:
    from click.testing import CliRunner

    assert "version" in CliRunner().invoke(knot, ["--version"]).output
