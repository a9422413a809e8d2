"""What commands say before they know anything, and of a stack: without libraries to import."""

from __future__ import annotations

from typing import Any

import click

from dask_knot.plural import many


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
    words += ["GPUs"] if options.gpu else []
    return ", ".join([*words, f"VPC {options.vpc}"])


def rows(outputs: Any) -> list[tuple[str, str]]:
    """List what a stack has, by name."""
    return [
        ("store", outputs.store_url),
        ("images", outputs.repository),
        ("queue", outputs.queue),
        ("logs", outputs.log_group),
    ]
