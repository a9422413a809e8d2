"""The output of commands: colored tables on a terminal, plain lines of text elsewhere.

The libraries that color are imported when something is printed: `dask --help` reads this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from dask_knot.plural import many

if TYPE_CHECKING:
    from rich.console import Console

    from dask_knot.aws.progress import EventReport, StackEvent

#: Colors by the words that begin a mark.
STYLES = {"ok": "green", "?": "yellow", "wrong": "bold red", "NOTE": "yellow"}


class Screen:
    """The terminal, or the file, that commands print on.

    Parameters
    ----------
    console : Console, optional
        Rich's; a new one writes to standard output, in colors if that is a terminal.
    """

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console

        # Texts come from AWS and Docker: neither brackets nor colons in them are markup, and lines
        # are not broken.
        self._console = console or Console(
            highlight=False, markup=False, emoji=False, soft_wrap=True
        )

    def line(self, text: str = "", style: str | None = None) -> None:
        """Print a line."""
        self._console.print(text, style=style)

    def marked(self, mark: str, text: str) -> None:
        """Print a line behind a mark, such as ``ok`` or ``wrong``."""
        from rich.text import Text

        style = STYLES.get(mark) or _style_of_status(mark)
        self._console.print(Text.assemble((mark, style), "  ", text))

    def table(self, rows: Sequence[tuple[str, str]]) -> None:
        """Print names and values beside each other."""
        width = max((len(name) for name, _ in rows), default=0)
        if not self._console.is_terminal:
            for name, value in rows:
                self.line(f"{name:<{width}}  {value}")
            return
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        for name, value in rows:
            table.add_row(Text(name, style="bold"), Text(value))
        self._console.print(table)

    def columns(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table with a line of heads; the last column may be as long as it likes."""
        widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
        for number, row in enumerate([heads, *rows]):
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            self.line("  ".join(cells).rstrip(), "bold" if number == 0 else None)


def _style_of_status(status: str) -> str:
    if status.endswith("_FAILED") or "ROLLBACK" in status:
        return "red"
    return "green" if status.endswith("_COMPLETE") else "cyan"


def readable_size(count: float) -> str:
    """Write a number of bytes as a person does."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def readable_age(seconds: float) -> str:
    """Write how long something is ago as a person does; clocks of others may be ahead of ours."""
    seconds = max(seconds, 0.0)
    for unit, length, until in _AGES:
        if seconds < until:
            return f"{int(seconds / length)} {unit}"
    return many("day", int(seconds / 86400))


#: Units of time, the seconds of one, and up to how many seconds they are used.
_AGES = (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172800))


def say(words: str) -> None:
    """Say at once what is done: the libraries for it take seconds to import, and AWS to answer.

    Standard output is for answers, which other programs may read.
    """
    click.echo(words, err=True)


def describe(options: Any) -> str:
    """Describe a stack by the options that it is made with."""
    if options.existing_queue is not None:
        return f"beside the job queue {options.existing_queue}"
    words = [options.platform, options.architecture, f"at most {many('vCPU', options.max_vcpus)}"]
    behind = many("vCPU", options.on_demand_vcpus)
    words += [f"then {behind} on demand"] if options.on_demand_vcpus else []
    words += ["GPUs"] if options.gpu else []
    words += ["shells (whoever has ecs:ExecuteCommand has the jobs' role)"] if options.shell else []
    return ", ".join([*words, f"VPC {options.vpc}"])


def needs(options: Any) -> list[str]:
    """Say what the stack can't give to what was there before it."""
    if not options.shell or options.existing_job_role is None:
        return []
    from dask_knot.aws.template.roles import SHELL_CHANNELS

    actions = ", ".join(f"ssmmessages:{action}" for action in SHELL_CHANNELS)
    return [
        f"`dask knot shell` needs the actions {actions} on * in the jobs' role, which is "
        f"your own and isn't changed: {options.existing_job_role}"
    ]


def rows(outputs: Any) -> list[tuple[str, str]]:
    """List what a stack has, by name."""
    return [
        ("store", outputs.store_url),
        ("images", outputs.repository),
        ("queue", outputs.queue),
        ("logs", outputs.log_group),
        ("remote builds", builds_of(outputs)),
    ]


def reporter(screen: Screen) -> EventReport:
    """Make what prints the steps of a stack, and what may not work in it."""
    from dask_knot.aws.progress import NOTED

    def report(event: StackEvent) -> None:
        if event.status == NOTED:
            screen.marked(event.status, f"{event.resource}: {event.kind}")
            return
        reason = f": {event.reason}" if event.is_failure and event.reason else ""
        screen.marked(event.status, f"{event.resource} ({event.kind}){reason}")

    return report


def builds_of(outputs: Any) -> str:
    """Say whether a stack builds images."""
    if outputs.builder is None:
        return "none: images are built with Docker"
    return f"{outputs.builder}, which costs nothing but build minutes"
