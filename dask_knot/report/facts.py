"""The facts of a report."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class ReportedCheck(NamedTuple):
    """One check of the doctor: its mark, what it says, and how to fix what is wrong."""

    mark: str
    text: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """All that a report says.

    Attributes
    ----------
    versions : mapping of str to str
        Of packages, by name; "" for one that isn't installed.
    machine : mapping of str to str
        What it runs on.
    settings : mapping of str to Any
        By their full names (``knot.aws.region``), those that differ from the defaults.
    sources : collection of str
        Files and environment variables that settings come from.
    complaint : str
        Why the settings can't be used; empty if they can.
    docker : str
        What answers, or why nothing does.
    checks : collection of ReportedCheck
        Empty if none was made.
    unchecked : str
        Why no check was made.
    secrets : collection of str
        Texts that mustn't be shown, wherever they stand.
    """

    versions: Mapping[str, str]
    machine: Mapping[str, str]
    settings: Mapping[str, object]
    sources: Collection[str] = ()
    complaint: str = ""
    docker: str = ""
    checks: Collection[ReportedCheck] = ()
    unchecked: str = ""
    secrets: Collection[str] = field(default=(), repr=False)
