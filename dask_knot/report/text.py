"""Writes a report as a Markdown block. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from dask_knot.environment.credentials import MASK
from dask_knot.report.facts import ReportFacts
from dask_knot.report.redaction import redacted

#: Settings whose values are the user's own, whatever they are: of a mapping its names stay.
CONFIDENTIAL = re.compile(
    r"(^|[.-])(environment|secrets|tags|owner|user-data|token|password|passwd|secret|credentials?)$"
)
#: Settings that are the name of a bucket: it may stand in other lines, too.
BUCKETS = ("knot.aws.up.bucket", "knot.aws.up.existing-bucket")
TITLE = "dask knot doctor --report"


def write(facts: ReportFacts, home: str = "") -> str:
    """Write a block that an issue takes as it is: folded, in plain text, with nothing private.

    Parameters
    ----------
    facts : ReportFacts
        What is known.
    home : str
        The user's home folder, which becomes ``~``.
    """
    # Versions say nothing of anybody, and some look like addresses.
    versions = "\n".join(_section("versions", _versions(facts)))
    secrets = {*facts.secrets, *_own(facts.settings)}
    rest = redacted("\n".join(_rest(facts)), secrets, home)
    body = f"{versions}\n{rest}".strip()
    fence = max(["```", *(run + "`" for run in re.findall(r"`{3,}", body))], key=len)
    head = f"<details open><summary>{TITLE}</summary>"
    return f"{head}\n\n{fence}text\n{body}\n{fence}\n\n</details>"


def _versions(facts: ReportFacts) -> Iterator[str]:
    yield from _pairs({name: text or "(not installed)" for name, text in facts.versions.items()})


def _rest(facts: ReportFacts) -> Iterator[str]:
    yield from _section("machine", _pairs(facts.machine))
    shown = {name: _shown(name, value) for name, value in facts.settings.items()}
    yield from _section("settings (all others have their defaults)", _pairs(shown))
    yield from _section("set in", facts.sources)
    yield from _section("what is wrong with the settings", [facts.complaint])
    yield from _section("Docker", [facts.docker])
    yield from _section("checks", _checks(facts))


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    found = [line for line in lines if line]
    if found:
        yield from (title, *(f"  {line}" for line in found), "")


def _pairs(pairs: Mapping[str, str]) -> Iterator[str]:
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        yield f"{name:<{width}}  {value}"


def _checks(facts: ReportFacts) -> Iterator[str]:
    for check in facts.checks:
        yield f"{check.mark:<5}  {_line(check.text)}"
        if check.fix:
            yield f"       → {_line(check.fix)}"
    if facts.unchecked:
        yield f"not made: {_line(facts.unchecked)}"


def _line(text: str) -> str:
    return " ".join(text.split())


def _shown(name: str, value: object) -> str:
    if not CONFIDENTIAL.search(name):
        return _line(str(value))
    if isinstance(value, Mapping):
        return ", ".join(f"{one}={MASK}" for one in value) or "{}"
    return MASK


def _own(settings: Mapping[str, object]) -> Iterator[str]:
    """Give the values of confidential settings: messages may repeat them."""
    for name, value in settings.items():
        if name in BUCKETS:
            yield str(value)
        elif CONFIDENTIAL.search(name):
            values = value.values() if isinstance(value, Mapping) else [value]
            yield from map(str, values)
