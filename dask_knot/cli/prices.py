"""`dask knot prices`: what is known of prices, and what AWS says."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from dask_knot.cli.flags import connection_options
from dask_knot.cli.screen import Screen, say
from dask_knot.plural import many
from dask_knot.settings.connection import connection

# Rooms that read prices or speak to AWS are imported when a command runs: `dask --help` reads this.
if TYPE_CHECKING:
    from dask_knot.aws.session import AwsSession
    from dask_knot.prices.pricelist import PriceList

UNKNOWN = "not known"
#: Characters of a line, at most.
WIDTH = 80


@click.command()
@click.argument("types", nargs=-1, metavar="[TYPE]...")
@click.option("--refresh", is_flag=True, help="Ask AWS for today's prices of the region.")
@connection_options
def prices(
    types: Sequence[str], refresh: bool, name: str | None, region: str | None, profile: str | None
) -> None:
    """Show what machines cost, and where the prices are from.

    Of each TYPE, of Fargate and of S3 in a region. Prices are those that came with dask_knot, and
    what --refresh has asked of AWS. Of what isn't known it says so.
    """
    from dask_knot.prices.shelf import asks, stocked

    screen = Screen()
    where = region or connection({}).region
    if refresh:
        where = _refresh(screen, region, profile)
    known = stocked(region=where or "")
    for note in known.notes:
        screen.marked("?", note)
    for sheet in known.sheets:
        places = {*sheet.instances, *sheet.spot}
        count = len({one for prices in sheet.instances.values() for one in prices})
        regions = ", ".join(places) if len(places) == 1 else many("region", len(places))
        screen.line(f"{sheet.said()}: {many('type', count)}, {regions}")
    if where is None:
        screen.line("regions:")
        for line in _columns(known.regions):
            screen.line(line)
        screen.line("--region says what things cost in one of them")
        return
    if where not in known.regions:
        screen.marked("?", f"no price for {where} is known here: {asks(where)}")
    screen.table([*_rates(known, where), *((one, _of_type(known, one, where)) for one in types)])


def _refresh(screen: Screen, region: str | None, profile: str | None) -> str:
    from dask_knot.aws.prices import ask_prices
    from dask_knot.prices.shelf import keep

    say("asking AWS for prices …")
    session = open_session(profile, region)
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
            screen.marked("?", f"AWS gave no prices {what}")
    return where


def _columns(names: Sequence[str]) -> list[str]:
    """Write names below each other, so many in a line as a narrow terminal has room for."""
    width = max(map(len, names)) + 2
    each = max(1, (WIDTH - 2) // width)
    rows = (names[start : start + each] for start in range(0, len(names), each))
    return ["  " + "".join(name.ljust(width) for name in row).rstrip() for row in rows]


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


def open_session(profile: str | None, region: str | None) -> AwsSession:
    """Open a session to AWS, by the options of a command."""
    from dask_knot.aws.session import open_aws_session

    wanted = connection({"profile": profile, "region": region})
    # Tests hand in another way to open one.
    opener = click.get_current_context().obj or open_aws_session
    session: AwsSession = opener(profile=wanted.profile, region=wanted.region)
    return session


COMMANDS = (prices,)
