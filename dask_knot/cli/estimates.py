"""`dask knot estimate`: what a script would take, from a few of its tasks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from dask_knot.cli.screen import say

#: The setting that makes clusters of another process estimate.
VARIABLE = "DASK_KNOT__ESTIMATE"


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("script", type=click.Path(exists=True, dir_okay=False))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--sample",
    default=3,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many tasks of each kind to run as samples.",
)
def estimate(script: str, arguments: tuple[str, ...], sample: int) -> None:
    """Say what a script would take, in time and money.

    SCRIPT runs, with its ARGUMENTS, up to where it waits for the first result of a KnotCluster or a
    Knot. Of what it has asked for by then a few tasks of each kind are tried; the answer is
    printed, and the script ends there.
    """
    rehearse(script, arguments, sample)


def rehearse(script: str, arguments: Sequence[str] = (), sample: int = 3) -> dict[str, float]:
    """Run a script up to its first computation, which is estimated; give the numbers of that.

    Raises
    ------
    click.ClickException
        If it computes nothing, or fails.
    """
    say(f"running {script} up to its first computation …")
    from dask_knot.run.exits import ESTIMATED, ESTIMATED_IN

    command = [sys.executable, script, *arguments]
    with tempfile.TemporaryDirectory(prefix="dask-knot-") as folder:
        file = Path(folder) / "estimated.json"
        variables = {**os.environ, VARIABLE: str(sample), ESTIMATED_IN: str(file)}
        ended = subprocess.run(command, env=variables, check=False)
        if ended.returncode == ESTIMATED:
            numbers: dict[str, float] = json.loads(file.read_text()) if file.exists() else {}
            return numbers
    if ended.returncode == 0:
        raise click.ClickException(f"{script} finished without computing anything with dask_knot")
    raise click.ClickException(
        f"{script} exited with code {ended.returncode} before it could be estimated"
    )


COMMANDS = (estimate,)
