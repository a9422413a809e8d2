"""`dask knot …`: parse, call one function, print."""

from __future__ import annotations

import json
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dask_knot.cli import estimates, files, images, joining, live, prices, regions, runs
from dask_knot.cli.account import open_session, stack_name
from dask_knot.cli.examples import epilog
from dask_knot.cli.flags import connection_options, up_options
from dask_knot.cli.screen import (
    Screen,
    builds_of,
    describe,
    needs,
    readable_size,
    reporter,
    rows,
    say,
)
from dask_knot.cli.sections import KnotGroup
from dask_knot.errors import KnotError
from dask_knot.plural import many
from dask_knot.settings.connection import connection

# Rooms that speak to AWS are imported when a command runs: `dask --help` reads this file.
if TYPE_CHECKING:
    from dask_knot.aws.session import AwsSession


@click.group(cls=KnotGroup, context_settings={"show_default": True})
@click.version_option(package_name="dask_knot", prog_name="dask_knot")
def knot() -> None:
    """Run Dask graphs as array jobs of AWS Batch.

    Run `up` first, once for an AWS account, then `image` with your script: after that, scripts
    with a KnotCluster() run on AWS. `doctor` says what is missing.
    """


@knot.command()
@connection_options
@up_options
@click.option(
    "--config/--no-config",
    default=True,
    help="Write the stack into Dask's configuration, so that KnotCluster() uses it.",
)
def up(
    name: str | None, region: str | None, profile: str | None, given: dict[str, Any], config: bool
) -> None:
    """Make the stack that jobs run in, or update it.

    The stack has a bucket, an image repository, roles, a job queue and a compute environment.
    Options that are given are noted in Dask's configuration (knot.aws.up) for the next `up`.
    """
    say(f"looking for credentials, and for the stack {stack_name(name)} …")
    from dask_knot.aws.options import resolve_options
    from dask_knot.aws.stack import up as make

    options = resolve_options({"name": name, **given})
    session, screen = open_session(profile, region), Screen()
    screen.line(f"stack {options.name} in {session.region}: {describe(options)}")
    try:
        outputs = make(session, options, reporter(screen))
    except KeyboardInterrupt:
        again = f"dask knot up --name {options.name}"
        raise click.ClickException(
            f"CloudFormation carries on by itself; `{again}` follows it"
        ) from None
    screen.table(rows(outputs))
    for line in needs(options):
        screen.line(line)
    if config:
        used = connection({"profile": profile}).profile
        try:
            path = files.write(options.name, session.region, used, options.changed())
            screen.line(f"KnotCluster() now uses it (engine: aws, set in {path})")
        except OSError as error:
            screen.line(files.by_hand(error, options.name, session.region, used))
    screen.line("next: `dask knot image SCRIPT` builds and pushes the image that jobs run in")


@knot.command()
@connection_options
@click.option("--yes", is_flag=True, help="Stop jobs and delete without asking.")
@click.option("--keep-data", is_flag=True, help="Keep the bucket and the results in it.")
def down(
    name: str | None, region: str | None, profile: str | None, yes: bool, keep_data: bool
) -> None:
    """Delete the stack with all results, images and logs.

    Jobs of the stack that wait or run are listed and ended first. Only what the stack made is
    deleted: a bucket, queue or role that was there before stays.
    """
    say(f"looking for the stack {stack_name(name)} …")
    from dask_knot.aws.jobs import end_stack_jobs, find_jobs
    from dask_knot.aws.removal import down as delete
    from dask_knot.aws.removal import find_data

    session, stack, screen = open_session(profile, region), stack_name(name), Screen()
    buckets = find_data(session, stack)
    if buckets is None:
        screen.line(f"there is no stack {stack} in {session.region}: nothing to delete")
        return
    jobs = find_jobs(session, stack)
    if jobs is not None and jobs.ids:
        screen.line(f"in use: {jobs} waiting or running in {jobs.queue.rpartition('/')[2]}")
    doomed = "" if keep_data or not buckets else f" and all data in {', '.join(buckets)}"
    doomed += f" and stop {many('job', len(jobs.ids))}" if jobs is not None and jobs.ids else ""
    if not yes:
        click.confirm(f"Delete stack {stack} in {session.region}{doomed}?", abort=True)
    if left := end_stack_jobs(session, stack, screen.line):
        screen.line(f"these jobs haven't stopped yet, and go with their queue: {', '.join(left)}")
    removed = delete(session, stack, reporter(screen), keep_data=keep_data)
    screen.line(f"stack {stack} is deleted")
    if removed.kept:
        screen.line(
            f"still there, and still paid for: the bucket {', '.join(removed.kept)}: `dask "
            f"knot up --existing-bucket {removed.kept[0]}` uses it again"
        )
    try:
        if path := files.remove(stack, session.region):
            screen.line(f"deleted {path}")
    except OSError as error:
        screen.line(f"delete what `up` wrote yourself, if anything is left: {error}")


@knot.command()
@connection_options
def status(name: str | None, region: str | None, profile: str | None) -> None:
    """Show the stack, its jobs and image, and the size of its store."""
    say(f"asking AWS about the stack {stack_name(name)} …")
    from dask_knot.aws.outputs import read_outputs
    from dask_knot.aws.status import read_status

    session = open_session(profile, region)
    found = read_status(session, read_outputs(session, stack_name(name)))
    jobs = ", ".join(f"{count} {state}" for state, count in found.jobs.items())
    size = f"{many('object', found.size.objects)}, {readable_size(found.size.bytes)}"
    machines = found.compute_environments or ("gone",)
    Screen().table(
        [
            ("stack", f"{found.outputs.name} in {session.region}, {found.outputs.status}"),
            ("queue", f"{found.outputs.queue.rpartition('/')[2]}, {found.queue}"),
            *zip(chain(["compute environment"], repeat("behind it")), machines, strict=False),
            ("jobs", jobs or "none"),
            ("image", found.image or "none yet: dask knot image"),
            ("remote builds", builds_of(found.outputs)),
            ("store", f"{found.outputs.store_url}, {size if found.size.is_all else f'> {size}'}"),
        ]
    )


@knot.command()
@connection_options
@click.option(
    "--report",
    is_flag=True,
    help="Print what a bug report needs, ready to paste, without accounts, addresses and keys.",
)
def doctor(name: str | None, region: str | None, profile: str | None, report: bool) -> None:
    """Check all that jobs need: one line each, and how to fix it.

    The lines are marked ok, wrong, or ? where it isn't sure; the exit code is 1 if any is wrong.
    With --report everything that a bug report needs is printed, whatever is wrong.
    """

    def open_one(**place: str) -> AwsSession:
        return open_session(profile, place.get("region", region))

    if report:
        say("looking at versions, settings, Docker and the stack …")
        from dask_knot.report.gather import gather
        from dask_knot.report.text import write

        click.echo(write(gather(open_one, lambda: stack_name(name)), str(Path.home())))
        return
    say(f"checking the stack {stack_name(name)} …")
    from dask_knot.aws.doctor import Verdict, open_and_examine

    screen, is_bad = Screen(), False
    for finding in open_and_examine(open_one, stack_name(name)):
        screen.marked(finding.verdict.value, f"{finding.what}: {finding.text}")
        if finding.cure:
            screen.line(f"       → {finding.cure}")
        is_bad |= finding.verdict is Verdict.BAD
    if is_bad:
        raise SystemExit(1)


@knot.command()
@connection_options
@up_options
@click.option("--user", "kind", flag_value="user", help="Print the policy to run jobs.")
@click.option(
    "--operator", "kind", flag_value="operator", help="Print the policy to run `up`, `down`."
)
@click.option(
    "--push/--no-push", default=True, help="With --user: whether it allows pushing images."
)
@click.option("--prices", is_flag=True, help="With --user: also allow asking AWS for prices.")
@click.option(
    "--network", is_flag=True, help="With --user: also allow looking at subnets and routes."
)
def policy(
    name: str | None,
    region: str | None,
    profile: str | None,
    given: dict[str, Any],
    kind: str | None,
    push: bool,
    **more: bool,
) -> None:
    """Print the IAM policy that users or operators need.

    --user is for those who run work in the stack that is there. --operator is for those who run
    `up` and `down`: give it the same options as `up`.
    """
    if kind is None:
        raise click.UsageError("say who it is for: --user or --operator")
    from dask_knot.aws.operator import operator_policy
    from dask_knot.aws.options import resolve_options
    from dask_knot.aws.outputs import read_outputs
    from dask_knot.aws.policy import user_policy

    if kind == "user":
        session = open_session(profile, region)
        found = user_policy(read_outputs(session, stack_name(name)), pushes=push, **more)
    else:
        options = resolve_options({"name": name, **given})
        found = operator_policy(options, _place(profile, region))
    click.echo(json.dumps(found, indent=2))


def _place(profile: str | None, region: str | None) -> Any:
    """Find out account and region, if there are credentials to ask with."""
    from dask_knot.aws.operator import Location, anybodys
    from dask_knot.aws.session import region_variable

    try:
        session = open_session(profile, region)
        arn = session.identity()["Arn"].split(":")
    except KnotError:
        return anybodys(connection({"region": region}).region or region_variable())
    return Location(partition=arn[1], region=session.region, account=arn[4])


ROOMS = (images, estimates, prices, regions, joining, runs, live)
for command in (one for room in ROOMS for one in room.COMMANDS):
    knot.add_command(command)
for each in (knot, *knot.commands.values()):
    each.epilog = epilog("" if each is knot else str(each.name))
