"""Arguments that a command refuses by their words alone, before anything is looked for or asked.

What is imported here is imported when a command runs: `dask --help` reads this file.
"""

from __future__ import annotations

from pathlib import Path

import click

#: What files are called that can't be the name of a run.
_SCRIPTS = (".py", ".ipynb")


def run_name(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse what no run can be called."""
    from dask_knot.run.names import RUN_NAME

    if value is not None and not RUN_NAME.fullmatch(value):
        rule = "a name has at most 80 letters, digits, - and _, and begins with a letter or digit"
        raise click.BadParameter(f"there is no run {value!r}: {rule}", ctx, param)
    return value


def stage_name(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse what no stage can be called."""
    from dask_knot.run.names import parse_stage

    if value is not None and parse_stage(value) is None:
        rule = "stages are called 0.1 or 'stage 0.1'"
        raise click.BadParameter(f"{value!r} names no stage: {rule}", ctx, param)
    return value


def script_or_run(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse a script that isn't there, and what no run can be called."""
    if value is None or Path(value).is_file():
        return value
    if value.endswith(_SCRIPTS) or "/" in value:
        raise click.BadParameter(f"there is no script {value}", ctx, param)
    return run_name(ctx, param, value)


def memory(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse what is no amount of memory."""
    from dask_knot.errors import ConfigurationError
    from dask_knot.settings import checks

    try:
        checks.memory(param.opts[0], value)
    except ConfigurationError as error:
        raise click.BadParameter(str(error), ctx, param) from None
    return value


def named_stack(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse what no stack can be called, as the configuration does."""
    from dask_knot.aws.names import check_stack

    return check_stack(param.opts[0], value) if value else value
