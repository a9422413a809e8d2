"""What a Dockerfile has that BuildKit alone can do: pure, on its text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

#: A flag of an instruction that the plain builder refuses, or takes no notice of.
FLAGS = {
    "RUN": ("mount", "network", "security"),
    "COPY": ("link", "chmod", "parents", "exclude"),
    "ADD": ("link", "chmod", "checksum", "keep-git-dir", "exclude", "unpack"),
}
#: What stands for the platforms in BuildKit, and is empty elsewhere unless it is given.
PLATFORM = ("TARGETPLATFORM", "TARGETOS", "TARGETARCH", "BUILDPLATFORM", "BUILDOS", "BUILDARCH")
SYNTAX = re.compile(r"#\s*syntax\s*=\s*(\S+)", re.IGNORECASE)
#: The usual front end: what is written for it need not have anything of its own.
USUAL = re.compile(r"docker(\.io/docker)?/dockerfile(:1(\.\d+)*)?")
HEREDOC = re.compile(r"(?:^|\s)<<-?[\"']?(\w+)[\"']?")


class Demand(NamedTuple):
    """A line of a Dockerfile that wants BuildKit, and its number."""

    number: int
    line: str
    #: What of it: ``RUN --mount``.
    what: str


def demands(text: str) -> list[Demand]:
    """List the lines that only BuildKit can build."""
    return [found for found in (*_front_end(text), *_instructions(text)) if found]


def _front_end(text: str) -> Iterator[Demand]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("#"):
            return  # directives stand at the very top
        match = SYNTAX.fullmatch(line.strip())
        if match and not USUAL.fullmatch(match[1]):
            yield Demand(number, line, f"# syntax={match[1]}")


def _instructions(text: str) -> Iterator[Demand]:
    for number, line in logical_lines(text):
        word, _, rest = line.partition(" ")
        word = word.upper()
        flags = re.match(r"\s*((?:--\S+\s+)*)", rest)
        named = re.findall(r"--([a-z-]+)", flags[1]) if flags else []
        flag = next((name for name in named if name in FLAGS.get(word, ())), None)
        if flag:
            yield Demand(number, line, f"{word} --{flag}")
        elif word in ("RUN", "COPY", "ADD") and HEREDOC.search(rest):
            yield Demand(number, line, f"{word} <<")


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Give the instructions, each in one line, and where they begin; no heredoc's content."""
    started, parts, ends = 0, list[str](), list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if ends:
            if stripped == ends[0]:
                ends.pop(0)
            continue
        if not stripped or stripped.startswith("#"):
            continue
        started = started if parts else number
        parts.append(stripped.removesuffix("\\").strip())
        if not stripped.endswith("\\"):
            whole, parts = " ".join(parts), []
            if re.match(r"(?i)(RUN|COPY|ADD)\s", whole):
                ends = HEREDOC.findall(whole)
            yield started, whole
    if parts:
        yield started, " ".join(parts)


def platform_arguments(text: str, platform: str) -> dict[str, str]:
    """Give the platform by the names that a Dockerfile asks for, where no BuildKit does."""
    system, _, processor = platform.partition("/")
    values = {"PLATFORM": platform, "OS": system, "ARCH": processor}
    asked = {line.split()[1] for _, line in logical_lines(text) if re.match(r"(?i)ARG\s+\S", line)}
    return {
        name: values[name.removeprefix("TARGET").removeprefix("BUILD")]
        for name in PLATFORM
        if name in asked
    }
