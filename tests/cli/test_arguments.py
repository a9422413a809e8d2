"""What is wrong here is told before anybody is asked; the exit code says whose mistake it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import dask
import pytest
from click.testing import CliRunner, Result

from dask_knot.cli.main import knot
from dask_knot.settings.defaults import DEFAULTS

#: What is typed, the exit code, and words of the message: 2 for what can't be a command line at
#: all, 1 for a value that the settings refuse.
WRONG = [
    ("nonsense", 2, "No such command"),
    ("up --nonsense", 2, "No such option"),
    ("up --max-vcpus many", 2, "not a valid integer"),
    ("up --max-vcpus 0", 1, "max_vcpus=0 is wrong"),
    ("up --tag x", 2, "'x' should be KEY=VALUE"),
    ("up --user-data {folder}/none", 2, "No such file or directory"),
    ("up --user-data {folder}/bytes", 2, "isn't UTF-8 text"),
    ("up --name Team", 1, "lower case letters"),
    ("up --platform fargate --gpu", 1, "use platform='ec2'"),
    ("down --name Team", 1, "lower case letters"),
    ("status --name Team", 1, "lower case letters"),
    ("doctor --name Team", 1, "lower case letters"),
    ("policy", 2, "--user or --operator"),
    ("policy --user --name Team", 1, "lower case letters"),
    ("policy --operator --log-days 4", 1, "log_days=4 is wrong"),
    ("image {folder}/none.py", 2, "doesn't exist"),
    ("image --package {folder}/none.txt", 2, "there is no file {folder}/none.txt"),
    ("image --conda {folder}/none.yml", 2, "there is no file {folder}/none.yml"),
    ("image --dockerfile {folder}/none", 2, "there is no file {folder}/none"),
    ("image --local --remote", 2, "give only one of them"),
    ("image --name Team", 1, "lower case letters"),
    ("estimate", 2, "Missing argument"),
    ("estimate {folder}/none.py", 2, "does not exist"),
    ("estimate --sample 0 {folder}/bytes", 2, "0 is not in the range"),
    ("prices --refresh --name Team", 1, "lower case letters"),
    ("regions --vcpus 0", 2, "0.0 is not in the range"),
    ("regions --jobs 0", 2, "0 is not in the range"),
    ("regions --hours -1", 2, "not in the range"),
    ("regions --memory lots", 2, "an amount of memory"),
    ("regions --for {folder}/none.py", 2, "there is no script"),
    ("regions --for no/script", 2, "there is no script"),
    ("regions --for a.b", 2, "there is no run 'a.b'"),
    ("list --engine moon", 1, "engine='moon' is wrong"),
    ("list --store {folder}/none", 1, "there is no folder"),
    ("runs --engine moon", 1, "engine='moon' is wrong"),
    ("runs --name Team", 1, "lower case letters"),
    ("show", 2, "Missing argument"),
    ("show --region eu-west-1 ../x", 2, "there is no run '../x'"),
    ("show --region eu-west-1 climate first", 2, "'first' names no stage"),
    ("logs --region eu-west-1 a.b", 2, "there is no run 'a.b'"),
    ("logs --region eu-west-1 climate --lines 0", 2, "0 is not in the range"),
    ("cancel --region eu-west-1 a.b", 2, "there is no run 'a.b'"),
    ("rm --region eu-west-1 a.b", 2, "there is no run 'a.b'"),
    ("why --region eu-west-1 climate", 2, "Missing argument"),
    ("why --region eu-west-1 a.b load", 2, "there is no run 'a.b'"),
    ("top --region eu-west-1 --run a.b", 2, "there is no run 'a.b'"),
    ("stacks --region eu-west-1", 2, "Missing argument"),
    ("stacks --region eu-west-1 --run a.b load", 2, "there is no run 'a.b'"),
    ("shell --region eu-west-1 --run a.b load", 2, "there is no run 'a.b'"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder with nothing but a file that is no text; Dask's configuration is there, too."""
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    monkeypatch.setattr(dask.config, "PATH", str(tmp_path))
    with dask.config.set({"knot": DEFAULTS}):
        yield tmp_path


def run(*words: str) -> Result:
    """Run a command that may ask AWS nothing, not even where it would be."""

    def refuse(**place: Any) -> NoReturn:
        raise AssertionError(f"AWS is asked before the arguments are looked at: {place}")

    return CliRunner().invoke(knot, list(words), obj=refuse)


@pytest.mark.parametrize(("line", "code", "message"), WRONG)
def test_what_is_wrong_here_is_told_first(line: str, code: int, message: str, folder: Path) -> None:
    result = run(*(word.format(folder=folder) for word in line.split()))
    assert isinstance(result.exception, SystemExit), result.exception
    assert message.format(folder=folder) in " ".join(result.output.split()), result.output
    assert result.exit_code == code
    assert "Error: " in result.output


def test_the_table_has_every_command() -> None:
    assert {line.split()[0] for line, _, _ in WRONG} == {"nonsense", *knot.commands}


def test_a_command_that_is_right_does_ask(folder: Path) -> None:
    for words in (["up"], ["show", "--region", "eu-west-1", "climate"], ["prices", "--refresh"]):
        assert "AWS is asked" in str(run(*words).exception)
