"""`dask knot image`: the image that jobs run in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dask_knot.cli import files
from dask_knot.cli.account import open_session, stack_name
from dask_knot.cli.flags import connection_options, image_options
from dask_knot.cli.screen import Screen, say


@click.command()
@click.argument("source", required=False)
@connection_options
@image_options
@click.option("--local", is_flag=True, help="Build it on this machine only, for engine 'docker'.")
@click.option("--show", is_flag=True, help="Print the Dockerfile, and build nothing.")
@click.option("--forget", is_flag=True, help="Forget the saved image options.")
def image(
    name: str | None,
    region: str | None,
    profile: str | None,
    given: dict[str, Any],
    local: bool,
    show: bool,
    forget: bool,
) -> None:
    """Build and push the image that jobs run in, unless it is there.

    SOURCE is a script, notebook or folder: the packages that it imports go into the image, in the
    versions that are installed here. Other options that are given are noted in Dask's configuration
    (knot.build), for clusters and for the next image; which is said.

    Without a Docker engine here it is built in the account, by AWS CodeBuild (--remote), if the
    stack can; a build costs by the minute.
    """
    if local and given["remote"]:
        raise click.UsageError(
            "--local builds here, --remote in the account: give only one of them"
        )
    _check_source(given["source"])
    say("finding out what jobs need …")
    from dask_knot.image.image import ensure_local_image, resolve_spec, show_dockerfile

    screen = Screen()
    if forget and (path := files.forget_image()):
        screen.line(f"deleted {path}")
    for line in files.image_notes(given):
        click.echo(line, err=True)
    spec = resolve_spec(given)
    if show:
        click.echo(show_dockerfile(spec, lambda line: click.echo(line, err=True)))
        return
    if local:
        made = ensure_local_image(spec, screen.line)
    else:
        from dask_knot.aws.images import ensure_image
        from dask_knot.aws.outputs import read_outputs

        session = open_session(profile, region)
        made = ensure_image(session, read_outputs(session, stack_name(name)), spec, screen.line)
    try:
        for line in files.write_image(given):
            screen.line(line)
    except OSError as error:
        screen.line(
            "pass it as KnotCluster(image=...), as it could not be saved in Dask's "
            f"configuration: {error}"
        )
    click.echo(made)


def _check_source(source: str | None) -> None:
    """See that what is to be read is there, before anything else is asked."""
    if source is not None and not Path(source).exists():
        raise click.BadParameter(f"{source} doesn't exist", param_hint="SOURCE")


COMMANDS = (image,)
