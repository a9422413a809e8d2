"""The group of commands: what it lists in its help, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from dask_knot.errors import KnotError

#: The commands as somebody needs them, by what they are for.
SECTIONS: Mapping[str, Sequence[str]] = {
    "Set up AWS": ("up", "image", "doctor", "status", "policy", "down"),
    "Time and money": ("estimate", "prices", "regions"),
    "Clusters and runs": ("list", "runs", "show", "logs", "why", "cancel", "rm"),
    "Running jobs": ("top", "stacks", "shell"),
}


class KnotGroup(click.Group):
    """A group whose commands end with our own errors as messages, not tracebacks."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except KnotError as error:
            raise click.ClickException(str(error)) from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order of the sections."""
        return [name for names in SECTIONS.values() for name in names]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a list of commands for each section."""
        width = max(map(len, self.commands))
        limit = formatter.width - 6 - width
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [
                        (one.ljust(width), self.commands[one].get_short_help_str(limit))
                        for one in names
                    ]
                )
