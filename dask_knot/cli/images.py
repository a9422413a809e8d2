"""`dask knot image`: the image that jobs run in."""

from __future__ import annotations

from collections.abc import Mapping
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
    """Build and push the image that jobs run in, unless it exists.

    SOURCE is a script, notebook or folder: the packages that it imports go into the image, in the
    versions that are installed here. Other options that you give are noted in Dask's configuration
    (knot.build), for clusters and for the next image; the command says what it notes.

    Where no Docker engine answers, AWS CodeBuild builds the image in your account (as with
    --remote), unless the stack was made with --no-remote-build. Builds are billed by the minute.
    """
    if local and given["remote"]:
        raise click.UsageError(
            "--local builds here, --remote in the account: give only one of them"
        )
    _check_files(given)
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


def _check_files(given: Mapping[str, Any]) -> None:
    """See that the files that are named are there, before anything else is asked."""
    from dask_knot.environment.files import is_file_of_requirements

    source, conda = given["source"], given["conda"]
    if source is not None and not Path(source).exists():
        raise click.BadParameter(f"{source} doesn't exist", param_hint="SOURCE")
    named = [("--package", one) for one in given["packages"] if is_file_of_requirements(one)]
    named += [("--conda", conda)] if conda not in (None, "", "here") else []
    named += [("--dockerfile", given["dockerfile"])] if given["dockerfile"] else []
    for option, file in named:
        if not Path(file).expanduser().is_file():
            raise click.BadParameter(f"there is no file {file}", param_hint=option)


COMMANDS = (image,)
