"""`dask knot regions`: where the same work would cost least."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dask_knot.cli.arguments import memory, script_or_run
from dask_knot.cli.estimates import rehearse
from dask_knot.cli.flags import run_options
from dask_knot.cli.prices import UNKNOWN, open_session
from dask_knot.cli.runs import open_depot, open_observer
from dask_knot.cli.screen import Screen, say
from dask_knot.errors import ConfigurationError, KnotError, PriceError
from dask_knot.settings.connection import connection

# Rooms that read prices or speak to AWS are imported when a command runs: `dask --help` reads this.
if TYPE_CHECKING:
    from dask_knot.aws.regions import RegionNews
    from dask_knot.prices.comparison import WantedWork
    from dask_knot.prices.pricelist import PriceList

#: Regions that AWS is asked about, the cheapest on demand: each answer takes about a second.
ASKED = 8
#: Memory for each vCPU unless somebody says it, as that of jobs on AWS.
MEMORY = 2 * 2**30
_AMOUNT = click.FloatRange(min=0, min_open=True)


@click.command()
@click.option(
    "--for",
    "model",
    default=None,
    callback=script_or_run,
    metavar="SCRIPT|RUN",
    help="Work of a script, or of a named run.",
)
@click.option("--vcpus", default=None, type=_AMOUNT, help="vCPUs of a job; 1 unless --for says it.")
@click.option(
    "--memory",
    default=None,
    callback=memory,
    help="Memory of a job; 2 GiB a vCPU unless --for says it.",
)
@click.option("--hours", default=None, type=_AMOUNT, help="Hours of all jobs together; 1 likewise.")
@click.option(
    "--jobs", default=None, type=click.IntRange(min=1), help="Jobs at once, on Spot; 100 likewise."
)
@click.option(
    "--architecture",
    default="amd64",
    show_default=True,
    type=click.Choice(["amd64", "arm64"]),
    help="The processors that jobs run on.",
)
@click.option("--instance-types", default="", help="Types or families of machines, by commas.")
@click.option("--regions", "chosen", default="", help="Regions to compare, by commas.")
@click.option("--ask/--no-ask", default=True, help="Ask AWS about Spot, or not.")
@run_options
def regions(
    place: Mapping[str, str | None], model: str | None, chosen: str, ask: bool, **work: Any
) -> None:
    """Compare what the same work costs in different regions.

    On demand, on Spot and on Fargate. The work is that of a SCRIPT, of which a few tasks are tried
    (as `dask knot estimate` does), or of a named RUN, or is given in numbers. AWS is asked for the
    Spot prices of the last seven days, and how likely there is Spot for so many jobs at once (from
    1 to 10). What it may not be asked is said.
    """
    from dask_knot.prices.comparison import HEADS, places, types_of
    from dask_knot.prices.pricelist import PriceList
    from dask_knot.prices.shelf import stocked

    screen, known = Screen(), stocked()
    wanted = _wanted({**work, **_work_of(place, model, work)})
    for note in known.notes:
        screen.marked("?", note)
    candidates = _listed(chosen) or _cheapest(known, wanted, connection(place).region)
    news = _news(screen, known, wanted, candidates, place) if ask else None
    if news is not None:
        known = PriceList((news.sheet, *known.sheets))
    asked = (news.history, news.scores) if news is not None else (None, None)
    screen.columns(HEADS, [one.row() for one in places(known, wanted, candidates, *asked)])
    types = ", ".join(types_of(known, wanted, candidates)) or "no machine with a known price"
    screen.line(
        f"for {wanted.hours:,.3g} h of jobs with {wanted.size.vcpus:g} vCPU and "
        f"{(wanted.size.memory or 0) / 2**20:,.0f} MiB, on full machines: {types}"
    )
    screen.line(f"prices on demand: {known.said(candidates[0]) or UNKNOWN}")


def _work_of(
    place: Mapping[str, str | None], model: str | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Find the size of the jobs of a run or a script, and their hours; what was given counts."""
    if model is None:
        return {}
    found = _of_script(model) if Path(model).is_file() else _of_run(place, model)
    return {name: value for name, value in found.items() if given[name] is None}


def _of_script(script: str) -> dict[str, Any]:
    numbers = rehearse(script)
    if not numbers:
        raise ConfigurationError(
            f"nothing could be estimated from {script}: give --vcpus, --memory and --hours"
        )
    return {**numbers, "memory": f"{numbers['memory']:.0f} B"}


def _of_run(place: Mapping[str, str | None], run: str) -> dict[str, Any]:
    from dask_knot.runs.show import portrait

    say(f"looking at run {run} …")
    found = portrait(open_depot(place), run, open_observer(), with_cost=True)
    stages = [stage for plan in found.view.plans for stage in plan.stages]
    if found.bill is None or not stages or not found.bill.seconds:
        raise ConfigurationError(f"no job of run {run} has run yet: give --vcpus and --hours")
    memory = max((stage.memory or 0) for stage in stages)
    return {
        "vcpus": max(stage.vcpus for stage in stages),
        "memory": f"{memory} B" if memory else None,
        "hours": found.bill.seconds / 3600,
        "jobs": max(len(stage.sizes) for stage in stages),
    }


def _wanted(work: Mapping[str, Any]) -> WantedWork:
    from dask_knot.planning import Resources
    from dask_knot.prices.comparison import WantedWork
    from dask_knot.settings import checks

    vcpus = 1.0 if work["vcpus"] is None else work["vcpus"]
    hours = 1.0 if work["hours"] is None else work["hours"]
    jobs = 100 if work["jobs"] is None else work["jobs"]
    memory = checks.memory("--memory", work["memory"]) or int(vcpus * MEMORY)
    types = _listed(work["instance_types"]) or ("optimal",)
    size = Resources(vcpus=vcpus, memory=memory)
    return WantedWork(size, hours, jobs, work["architecture"], types)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())


def _cheapest(known: PriceList, wanted: WantedWork, own: str | None) -> list[str]:
    """Name the regions where the work costs least on demand, and the user's own."""
    from dask_knot.prices.comparison import places

    usual = [one for one in known.regions if "-gov-" not in one]
    found = [one.region for one in places(known, wanted, usual) if one.on_demand is not None]
    if not found:
        raise PriceError(
            "no known machine is large enough for such jobs: ask for less, or name --instance-types"
        )
    return list(dict.fromkeys([*found[:ASKED], *([own] if own else [])]))


def _news(
    screen: Screen,
    known: PriceList,
    wanted: WantedWork,
    regions: Sequence[str],
    place: Mapping[str, str | None],
) -> RegionNews | None:
    """Ask AWS, if there are credentials; say what could not be asked."""
    from dask_knot.aws.regions import ask_regions
    from dask_knot.prices.comparison import types_of

    say(f"asking AWS about {', '.join(regions)} …")
    try:
        session = open_session(place["profile"], place["region"] or regions[0])
    except KnotError as error:
        screen.marked("?", f"AWS isn't asked about Spot: {error}")
        return None
    now = datetime.datetime.now(datetime.timezone.utc)
    vcpus = max(1, round(wanted.jobs * wanted.size.vcpus))
    news = ask_regions(session, regions, types_of(known, wanted, regions), vcpus, now)
    for line in news.refused:
        screen.marked("?", line)
    return news


COMMANDS = (regions,)
