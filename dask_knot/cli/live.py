"""`dask knot top`, `stacks`, `shell`: a look into jobs that run, and a way into them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from dask_knot.cli.arguments import run_name
from dask_knot.cli.flags import run_options
from dask_knot.cli.screen import Screen, readable_age, readable_size, say
from dask_knot.errors import ConfigurationError

if TYPE_CHECKING:
    from dask_knot.runs.inquiry import Crew
    from dask_knot.runs.notices import Premises
    from dask_knot.runs.vigil import Vigil, VitalSign

#: Finds the jobs of a run that are under way, as they are now.
Find = Callable[[], "Crew"]
HEADS = ("RUN", "JOB", "HOST", "CPU", "MEMORY", "FOR", "TASK")
#: Seconds between two pictures, where looks cost nothing and elsewhere.
NEAR, FAR = 1.0, 5.0
NOBODY = "no cluster or knot is open on this machine: name a run with --run"
_RUN = click.option(
    "--run",
    "run",
    default=None,
    callback=run_name,
    metavar="RUN",
    help="The run; without it, all clusters and knots open on this machine.",
)


@click.command()
@click.argument("key", metavar="KEY|JOB[:CHILD]")
@_RUN
@run_options
def stacks(key: str, run: str | None, place: Mapping[str, str | None]) -> None:
    """Print where a running task is: the Python stacks of its job.

    KEY is a key (load-3, pi-0:17), the name of a map (pi-0), or how keys begin; or name a job or
    shard. Jobs answer when they look whether anything is asked: at once on this machine, within 20
    seconds on AWS.
    """
    from dask_knot.runs.stacks import report_stacks

    screen = Screen()
    for report in report_stacks(_crews(run, place), key):
        screen.line(report.title, "bold")
        screen.line(report.text.rstrip())


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("what", metavar="KEY|JOB[:CHILD]")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND ...]")
@_RUN
@run_options
def shell(
    what: str, command: tuple[str, ...], run: str | None, place: Mapping[str, str | None]
) -> None:
    """Open a shell in the job that runs a key, or run a command there.

    On AWS that is ECS Exec, in a stack that was made with `up --shell`; in a container `docker
    exec`; on this machine a shell with the folder and the variables of the job's process.
    """
    from dask_knot.runs.shells import enter

    found = enter(_crews(run, place), what, command, sys.stdin.isatty())
    say(found.said)
    if found.folder and found.environment is not None:
        os.chdir(found.folder)
    sys.stdout.flush()
    environment = os.environ if found.environment is None else found.environment
    try:
        os.execvpe(found.words[0], found.words, environment)
    except OSError as error:
        raise ConfigurationError(f"{found.words[0]} can't be run: {error}") from error


@click.command()
@_RUN
@click.option("--once", is_flag=True, help="Print one table, as soon as the jobs have reported.")
@run_options
def top(run: str | None, once: bool, place: Mapping[str, str | None]) -> None:
    """Show what running jobs do: processor time, memory, and task.

    For each also how long its task has run.
    While this watches, each job tells every few seconds; else none does.
    """
    from dask_knot.runs.vigil import Vigil

    finders, screen = _finders(run, place), Screen()
    with ExitStack() as stack:
        vigils = [stack.enter_context(closing(Vigil(find))) for find in finders]
        if once or not sys.stdout.isatty():
            _show_once(screen, vigils)
        else:
            _show_live(vigils)


def _show_once(screen: Screen, vigils: Sequence[Vigil]) -> None:
    from dask_knot.runs.stacks import SILENT

    crews = [vigil.crew for vigil in vigils]
    if not any(crew.shards for crew in crews):
        screen.line(f"no job of {', '.join(crew.run.name for crew in crews)} is under way")
        return
    say(next(crew for crew in crews if crew.shards).words)
    end = time.monotonic() + max(crew.patience for crew in crews)
    signs: list[VitalSign] = []
    while True:
        before, signs = signs, [sign for vigil in vigils for sign in vigil.look()]
        if (signs and len(signs) == len(before)) or time.monotonic() > end:
            break
        time.sleep(NEAR)
    if signs:
        screen.columns(HEADS, [row(sign) for sign in signs])
    else:
        screen.line(f"no job has reported: they are waiting, or have finished. {SILENT}")


def _show_live(vigils: Sequence[Vigil]) -> None:
    from rich.live import Live

    is_dear = any(vigil.crew.run.inquiries.is_dear for vigil in vigils)
    pause = FAR if is_dear else NEAR
    with Live(auto_refresh=False, screen=True) as live:
        try:
            while True:
                signs = [sign for vigil in vigils for sign in vigil.look()]
                live.update(picture(signs, [vigil.crew for vigil in vigils]), refresh=True)
                time.sleep(pause)
        except KeyboardInterrupt:
            return


def picture(signs: Sequence[VitalSign], crews: Sequence[Crew]) -> Any:
    """Draw the table of running jobs."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, expand=True, header_style="bold")
    for number, head in enumerate(HEADS):
        table.add_column(head, no_wrap=True, ratio=1 if number == len(HEADS) - 1 else None)
    for sign in signs:
        table.add_row(*map(Text, row(sign)))
    under_way = sum(len(crew.shards) for crew in crews)
    table.caption = Text(f"{len(signs)} of {under_way} jobs have reported; Ctrl-C quits")
    return table


def row(sign: VitalSign) -> list[str]:
    """Tell how one job fares, in the order of `HEADS`."""
    one = sign.vitals
    limit = f" of {readable_size(one.limit)}" if one.limit else ""
    more = f" (and {len(one.tasks) - 1} more)" if len(one.tasks) > 1 else ""
    task = one.tasks[0] if one.tasks else None
    return [
        sign.run,
        one.job or str(sign.shard),
        f"{one.host}, {one.pid}",
        f"{one.cpu * 100:.0f}%",
        f"{readable_size(one.memory)}{limit}",
        "" if task is None else readable_age(task.seconds),
        "between tasks" if task is None else task.key + more,
    ]


def _crews(run: str | None, place: Mapping[str, str | None]) -> list[Crew]:
    crews = [find() for find in _finders(run, place)]
    for crew in crews:
        if crew.shards:
            say(crew.words)
    return crews


def _finders(run: str | None, place: Mapping[str, str | None]) -> list[Find]:
    """Tell how to find the jobs of the run that is named, or of all clusters and knots open here.

    Raises
    ------
    ConfigurationError
        If none is named, and none is open.
    """
    say("looking for jobs …")
    from dask_knot.runs.notices import open_premises

    there = open_premises()
    if run is None or not any(place.values()):
        chosen = [one for one in there if run in (None, one.run)]
        if chosen:
            return [_finder_of(one) for one in chosen]
    if run is None:
        raise ConfigurationError(NOBODY)
    from dask_knot.cli.runs import open_depot, open_observer
    from dask_knot.runs.inquiry import named_crew

    return [partial(named_crew, open_depot(place), run, open_observer())]


def _finder_of(premises: Premises) -> Find:
    from dask_knot.cli.runs import open_depot, open_observer
    from dask_knot.runs.inquiry import named_crew, unnamed_crew

    place: dict[str, str | None] = {"store": premises.store, "engine": premises.engine}
    place |= {name: getattr(premises, name) or None for name in ("stack", "region", "profile")}
    depot = open_depot(place)
    if premises.is_named:
        return partial(named_crew, depot, premises.run, open_observer())
    return partial(unnamed_crew, depot, premises.run, premises.engine)


COMMANDS = (top, stacks, shell)
