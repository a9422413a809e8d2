"""`dask knot runs`, `show`, `logs`, `cancel`, `rm`, `why`: named runs, without their scripts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from dask_knot.cli.arguments import run_name, stage_name
from dask_knot.cli.flags import run_options
from dask_knot.cli.screen import Screen, readable_size, say
from dask_knot.errors import ConfigurationError
from dask_knot.plural import many

# Rooms that read runs are imported when a command runs: `dask --help` reads this file.
if TYPE_CHECKING:
    from dask_knot.runs.depot import Depot
    from dask_knot.runs.presence import Observer

NO_RUNS = "there are no named runs in {url}: KnotCluster(name=...) makes one that stays"


@click.command()
@click.option("--cost", is_flag=True, help="Add up what their jobs cost; reads all manifests.")
@run_options
def runs(cost: bool, place: Mapping[str, str | None]) -> None:
    """List the named runs: their age, state, size, and who made them.

    A run is *running* while its jobs wait or run; *done*; *failed* if a task raised or a job was
    lost; or *left* if it isn't done and nobody works on it: run the same script again to resume it.

    `dask knot show RUN` tells more of one run, and `dask knot list` which clusters are open now.
    """
    say("looking for runs …")
    from dask_knot.cli.pictures import COST_HEADS, RUN_HEADS, run_row
    from dask_knot.runs.overview import overviews, run_bills

    depot, screen, now = open_depot(place), Screen(), time.time()
    found = overviews(depot, open_observer())
    if not found:
        screen.line(NO_RUNS.format(url=depot.url))
        return
    bills = run_bills(depot, found) if cost else {}
    rows = [run_row(one, now, bills.get(one.name)) for one in found if one.view is not None]
    screen.columns(COST_HEADS if cost else RUN_HEADS, rows)
    for one in found:
        if one.view is None:
            screen.line(f"{one.name} can't be read: {one.why}")
    for why in dict.fromkeys(one.why for one in found if one.view is not None and one.why):
        screen.line(f"the jobs couldn't be listed, so some may be running: {why}")


@click.command()
@click.argument("run", callback=run_name)
@click.argument("stage", required=False, callback=stage_name)
@click.option("--cost", is_flag=True, help="Add up what its jobs cost; reads all manifests.")
@run_options
def show(run: str, stage: str | None, cost: bool, place: Mapping[str, str | None]) -> None:
    """Show a run: its sessions, plans, jobs, and what went wrong."""
    say(f"looking at run {run} …")
    from dask_knot.cli.pictures import print_portrait
    from dask_knot.runs.show import portrait

    found = portrait(open_depot(place), run, open_observer(), stage, cost)
    print_portrait(Screen(), found, time.time())


@click.command()
@click.argument("run", callback=run_name)
@click.argument("what", required=False, metavar="[KEY or JOB]")
@click.option(
    "--lines",
    default=20,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many lines of each log.",
)
@run_options
def logs(run: str, what: str | None, lines: int, place: Mapping[str, str | None]) -> None:
    """Print the ends of the logs of a run's jobs.

    Those that failed come first. Of one job or child with its id, of what makes a key with that.
    """
    say(f"looking for logs of run {run} …")
    from dask_knot.runs.lines import read_logs

    screen = Screen()
    for log in read_logs(open_depot(place), run, what, lines, open_observer()):
        screen.line(log.title, "bold")
        for line in log.lines:
            screen.line(f"  {line}")


@click.command()
@click.argument("run", callback=run_name)
@click.option("--yes", is_flag=True, help="Stop the jobs without asking.")
@run_options
def cancel(run: str, yes: bool, place: Mapping[str, str | None]) -> None:
    """Stop all jobs of a run. Results stay; the same script goes on with the rest."""
    say(f"looking for jobs of run {run} …")
    from dask_knot.runs.ending import cancel as end
    from dask_knot.runs.ending import holders
    from dask_knot.runs.overview import look_at_holders

    depot, screen = open_depot(place), Screen()
    view, known = look_at_holders(depot, run, open_observer())
    found = holders(view, known)
    if known.is_asked and not found:
        screen.line(f"no job of run {run} is waiting or running: nothing to stop")
        return
    if found.jobs and not yes:
        click.confirm(f"Stop {many('job', len(found.jobs))} of run {run}?", abort=True)
    _tell_left(end(depot, view, known))
    screen.line(f"{many('job', len(found.jobs))} of run {run} stopped; finished results are kept")


@click.command()
@click.argument("run", callback=run_name)
@click.option("--yes", is_flag=True, help="Delete without asking.")
@click.option(
    "--force", is_flag=True, help="Stop its jobs first, and delete it even if it is in use."
)
@run_options
def rm(run: str, yes: bool, force: bool, place: Mapping[str, str | None]) -> None:
    """Delete a run with all its results."""
    say(f"looking at run {run} …")
    from dask_knot.runs.ending import cancel as end
    from dask_knot.runs.ending import holders, remove
    from dask_knot.runs.overview import look_at_holders

    depot, screen = open_depot(place), Screen()
    view, known = look_at_holders(depot, run, open_observer())
    found = holders(view, known)
    if not force and (found or not known.is_asked):
        why = str(found) or f"whether it has running jobs isn't known ({known.why})"
        raise ConfigurationError(
            f"run {run} is in use: {why}. `--force` stops its jobs and deletes it"
        )
    size = f"{many('object', view.survey.objects)}, {readable_size(view.survey.nbytes)}"
    if not yes:
        held = f" and stop {many('job', len(found.jobs))}" if found.jobs else ""
        click.confirm(f"Delete run {run} in {depot.url}: {size}{held}?", abort=True)
    if found.jobs:
        _tell_left(end(depot, view, known))
    if left := remove(view):
        raise click.ClickException(f"{many('object', left)} of run {run} could not be deleted")
    screen.line(f"run {run} is deleted: {size}")


@click.command()
@click.argument("run", callback=run_name)
@click.argument("key")
@run_options
def why(run: str, key: str, place: Mapping[str, str | None]) -> None:
    """Explain why a key was computed again.

    It is compared with the nearest earlier work. KEY is a key as it is printed, what only one
    begins with, or a prefix such as `load`: then it is one of the last that were made.
    """
    say(f"reading the record of run {run} …")
    from dask_knot.runs.why import explain

    screen = Screen()
    for line in explain(open_depot(place), run, key):
        screen.line(line)


def _tell_left(jobs: Any) -> None:
    if jobs:
        raise click.ClickException(f"these jobs haven't stopped yet: {', '.join(jobs)}")


def open_depot(place: Mapping[str, str | None]) -> Depot:
    """Find the store of named runs by the options of a command."""
    from dask_knot.runs.depot import Words, find_runs

    # Tests hand in another way to open a session.
    return find_runs(Words(**place), click.get_current_context().obj)


def open_observer() -> Observer:
    """Make what tells which sessions are there."""
    from dask_knot.runs.presence import Observer

    return Observer(say)


COMMANDS = (runs, show, logs, cancel, rm, why)
