"""`dask knot prices`, `regions`: what things cost, and where work would cost least."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from dask_knot.cli.flags import connection_options
from dask_knot.cli.screen import Screen, say
from dask_knot.errors import ConfigurationError, KnotError, PriceError
from dask_knot.plural import many
from dask_knot.settings.connection import connection

# Rooms that read prices or speak to AWS are imported when a command runs: `dask --help` reads this.
if TYPE_CHECKING:
    from dask_knot.aws.session import AwsSession
    from dask_knot.prices.comparison import WantedWork
    from dask_knot.prices.pricelist import PriceList

#: Regions that AWS is asked about, the cheapest on demand: each answer takes about a second.
ASKED = 8
UNKNOWN = "not known"


@click.command()
@click.argument("types", nargs=-1, metavar="[TYPE]...")
@click.option("--refresh", is_flag=True, help="Ask AWS for today's prices of the region.")
@connection_options
def prices(
    types: Sequence[str], refresh: bool, name: str | None, region: str | None, profile: str | None
) -> None:
    """Show what is known of prices: from where, of when, and what machines of a TYPE cost.

    Prices are those that came with dask_knot, and what --refresh has asked of AWS. Of what isn't
    known it says so.
    """
    from dask_knot.prices.shelf import stocked

    screen = Screen()
    where = region or connection({}).region
    if refresh:
        where = _refresh(screen, region, profile)
    known = stocked()
    for note in known.notes:
        screen.marked("?", note)
    for sheet in known.sheets:
        places = {*sheet.instances, *sheet.spot}
        count = len({one for prices in sheet.instances.values() for one in prices})
        regions = ", ".join(places) if len(places) == 1 else many("region", len(places))
        screen.line(f"{sheet.said()}: {many('type', count)}, {regions}")
    if where is None:
        screen.line(f"regions: {', '.join(known.regions)}")
        screen.line("--region says what things cost in one of them")
        return
    screen.table([*_rates(known, where), *((one, _of_type(known, one, where)) for one in types)])


@click.command()
@click.option("--vcpus", default=1.0, show_default=True, help="vCPUs of a job (knot.cores).")
@click.option("--memory", default="2 GiB", show_default=True, help="Memory of a job.")
@click.option("--hours", default=1.0, show_default=True, help="Hours of all jobs together.")
@click.option("--jobs", default=100, show_default=True, help="Jobs at once, on Spot.")
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
@connection_options
def regions(
    chosen: str, ask: bool, name: str | None, region: str | None, profile: str | None, **work: Any
) -> None:
    """Compare what the same work costs in regions: on demand, on Spot, on Fargate.

    AWS is asked for the Spot prices of the last seven days, and how likely there is Spot for so
    many jobs at once (from 1 to 10). What it may not be asked is said.
    """
    from dask_knot.prices.comparison import HEADS, places, types_of
    from dask_knot.prices.pricelist import PriceList
    from dask_knot.prices.shelf import stocked

    known, wanted, screen = stocked(), _wanted(work), Screen()
    for note in known.notes:
        screen.marked("?", note)
    named = [one.strip() for one in chosen.split(",") if one.strip()]
    candidates = named or _cheapest(known, wanted, region or connection({}).region)
    news = None
    if ask:
        say(f"asking AWS about {', '.join(candidates)} …")
        news = _news(screen, known, wanted, candidates, (profile, region))
    if news is not None:
        known = PriceList((news.sheet, *known.sheets))
    asked = (news.history, news.scores) if news is not None else (None, None)
    found = places(known, wanted, candidates, *asked)
    screen.columns(HEADS, [one.row() for one in found])
    types = ", ".join(types_of(known, wanted, candidates)) or "no machine whose price is known"
    screen.line(
        f"for {wanted.hours:g} h of jobs with {wanted.size.vcpus:g} vCPU and "
        f"{(wanted.size.memory or 0) / 2**20:,.0f} MiB, on full machines: {types}"
    )
    screen.line(f"prices on demand: {known.said(candidates[0]) or UNKNOWN}")


def _refresh(screen: Screen, region: str | None, profile: str | None) -> str:
    from dask_knot.aws.prices import ask_prices
    from dask_knot.prices.shelf import keep

    say("asking AWS for prices …")
    session = _open(profile, region)
    where, now = session.region, datetime.datetime.now(datetime.timezone.utc)
    sheet = ask_prices(session, where, now, lambda line: screen.marked("?", line))
    file = keep(sheet, where)
    count = len(sheet.instances.get(where, ()))
    screen.marked("ok", f"prices of {many('type', count)} in {where}, kept in {file}")
    for what, is_known in (
        ("of machines on demand", sheet.instances),
        ("of Spot", sheet.spot),
        ("of Fargate", sheet.fargate),
        ("of S3", sheet.s3),
    ):
        if not is_known:
            screen.marked("?", f"AWS said no prices {what}")
    return where


def _rates(known: PriceList, region: str) -> list[tuple[str, str]]:
    """List what is known of a region beside machines."""
    rows = [("region", region), ("prices of machines", known.said(region) or UNKNOWN)]
    for kind in ("amd64", "arm64"):
        for lifecycle, words in (("fargate", "Fargate"), ("fargate-spot", "Fargate Spot")):
            rates = known.fargate(region, kind, lifecycle)
            text = (
                f"{rates.vcpu.quoted()} a vCPU, {rates.gib.quoted()} a GiB, an hour"
                if rates
                else UNKNOWN
            )
            rows.append((f"{words}, {kind}", text))
    return [*rows, ("S3", _of_store(known, region))]


def _of_store(known: PriceList, region: str) -> str:
    rates = known.s3(region)
    if rates is None:
        return UNKNOWN
    write, read = (rates.write * 1000).quoted(), (rates.read * 1000).quoted()
    return f"1,000 writes {write}, 1,000 reads {read}, a GiB for a month {rates.gib_month.quoted()}"


def _of_type(known: PriceList, name: str, region: str) -> str:
    """Say what is known of a type of machines."""
    one = known.type(name)
    if one is None:
        return "not known: neither its size nor its price"
    size = f"{many('vCPU', one.vcpus)}, {one.memory / 1024:g} GiB, {one.architecture}"
    size += f", {many('GPU', one.gpus)}" if one.gpus else ""
    full, spot = known.instance(name, region), known.instance(name, region, "spot")
    if full is None and spot is None:
        return f"{size}: its price is {UNKNOWN}"
    on_demand = f"{full.quoted()} an hour on demand" if full else f"{UNKNOWN} on demand"
    if spot is None or not known.is_spot_known(name, region):
        return f"{size}: {on_demand}, {UNKNOWN} on Spot (never more)"
    return f"{size}: {on_demand}, {spot.quoted()} on Spot"


def _wanted(work: dict[str, Any]) -> WantedWork:
    from dask_knot.planning import Resources
    from dask_knot.prices.comparison import WantedWork
    from dask_knot.settings.checks import memory

    size = Resources(vcpus=work["vcpus"], memory=memory("--memory", work["memory"]))
    if not (work["vcpus"] > 0 and work["hours"] > 0 and work["jobs"] > 0):
        raise ConfigurationError("--vcpus, --hours and --jobs should be above 0")
    types = tuple(one.strip() for one in work["instance_types"].split(",") if one.strip())
    return WantedWork(
        size, work["hours"], work["jobs"], work["architecture"], types or ("optimal",)
    )


def _cheapest(known: PriceList, wanted: WantedWork, own: str | None) -> list[str]:
    """Name the regions where the work costs least on demand, and the user's own."""
    from dask_knot.prices.comparison import places

    usual = [one for one in known.regions if "-gov-" not in one]
    found = [one.region for one in places(known, wanted, usual) if one.on_demand is not None]
    if not found:
        raise PriceError("no region is known whose machines such jobs fit on")
    return list(dict.fromkeys([*found[:ASKED], *([own] if own else [])]))


def _news(
    screen: Screen,
    known: PriceList,
    wanted: WantedWork,
    regions: Sequence[str],
    place: tuple[str | None, str | None],
) -> Any:
    """Ask AWS, if there are credentials; say what could not be asked."""
    from dask_knot.aws.regions import ask_regions
    from dask_knot.prices.comparison import types_of

    profile, region = place
    try:
        session = _open(profile, region or regions[0])
    except KnotError as error:
        screen.marked("?", f"AWS isn't asked about Spot: {error}")
        return None
    now = datetime.datetime.now(datetime.timezone.utc)
    vcpus = max(1, round(wanted.jobs * wanted.size.vcpus))
    news = ask_regions(session, regions, types_of(known, wanted, regions), vcpus, now)
    for line in news.refused:
        screen.marked("?", line)
    return news


def _open(profile: str | None, region: str | None) -> AwsSession:
    from dask_knot.aws.session import open_aws_session

    wanted = connection({"profile": profile, "region": region})
    # Tests hand in another way to open one.
    opener = click.get_current_context().obj or open_aws_session
    session: AwsSession = opener(profile=wanted.profile, region=wanted.region)
    return session


COMMANDS = (prices, regions)
