"""What an engine says while it builds or moves an image: its progress, and the line that failed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dask_knot.environment.problems import Report
from dask_knot.errors import ImageError

#: So many lines of a failed build are shown.
SHOWN = 15
#: Layers are named one after another: the first ones, which are small, say nothing of all.
SHOWN_BYTES = 1e7
#: What the engine says of itself between the lines of a command.
CHATTER = (" --->", "--> ", "Removing intermediate container", "COMMIT ")
#: pip's bar of a download, which is written when that is over.
BAR = "━━━"
#: What a command says of what it doesn't do.
NO_NEWS = "Requirement already satisfied"
COLORS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
#: The plain builder's steps; Podman's are in capitals.
STEP_OF_ENGINE = re.compile(r"(?:Step|STEP) (\d+/\d+) ?: ")
#: BuildKit's steps: those of the Dockerfile have a number of all, and the name of their stage.
STEP = re.compile(r"#(\d+) (\[\s*(?:[\w.-]+\s+)?\d+/\d+\] .+)")
OTHER_STEP = re.compile(r"#(\d+) (\[[^\]]+\] .+)")
PRINTED = re.compile(r"#(\d+) (?:\d+\.\d+ )(.*)")
FAILED = re.compile(r"#(\d+) ERROR:? (.*)")
#: How it ends if no step failed, but the whole.
AT_ALL = re.compile(r"(?:ERROR: |error: )?(failed to (?:solve|build|receive).*|ERROR: .*)")


class BuildLog:
    """The steps of a build: each is told, with what it prints, and shown if it is the last."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._printed: dict[str, list[str]] = {}

    def begin(self, step: str) -> None:
        """Tell a step that begins."""
        self._printed[step] = []
        self._report(shortened(step))

    def take(self, step: str, line: str) -> None:
        """Tell a line that a step printed."""
        if line.strip() and not line.startswith(CHATTER) and not line.lstrip().startswith(BAR):
            self._printed.setdefault(step, []).append(line.rstrip())
            if not line.startswith(NO_NEWS):
                self._report(shortened(f"  {line.strip()}"))

    def failure(self, step: str, error: str) -> ImageError:
        """Say which line of the Dockerfile failed, with the end of what it printed."""
        printed = self._printed.get(step, [])[-SHOWN:]
        line = re.sub(r"^(Step \d+/\d+ : |\[.*?\] )", "", step)
        cure = cure_of("\n".join([*printed, error]))
        said = "".join(f"\n    {text}" for text in printed)
        opening = "the image couldn't be built: this line of its Dockerfile failed"
        # Installers write in colors, which are none in a traceback or a log.
        return ImageError(COLORS.sub("", f"{opening}:\n  {line}{said}\n{error}\n{cure}"))


#: What builds say, and what helps; `{}` is what the pattern has in brackets.
CURES = {
    r"exec format error": "The image is for a different kind of processor than this machine's: "
    "build it in the AWS account (`dask knot image --remote`) or on such a machine, or "
    "install QEMU (`docker run --privileged --rm tonistiigi/binfmt --install all`)",
    r"(?:command '(\S*(?:gcc|g\+\+|cc|gfortran))' failed: No such|unable to execute '(\S*cc)')": (
        "A package has to be compiled, and the image has no compiler: add `--debian g++` "
        "(or choose a version of the package that has a wheel)"
    ),
    r"CERTIFICATE_VERIFY_FAILED": "The build doesn't trust the server's certificate, perhaps "
    "that of your company's proxy: set PIP_CERT (`cert` in pip.conf) to a file with its "
    "certificate",
    r"Proxy Authentication Required": "The proxy asks for a login: put it into its URL "
    "(HTTPS_PROXY=http://user:password@host:port)",
    r"after connection broken by '(\w+)": "The build can't reach the index ({}): it has neither "
    "your VPN nor this machine's own addresses. Name a proxy (HTTPS_PROXY), or build "
    "with this machine's network (`--no-remote --network host`)",
    r"No matching distribution found for (\S+)": "{} wasn't found on the index: it may be "
    "withdrawn, on another index, have no file for this Python and platform, or be "
    "hidden without a login (logins in a keyring don't reach the build: put them into "
    "~/.netrc). Name a version that exists (`--package`), or the index that has it "
    "(`--extra-index-url …` in a requirements file)",
    r"HTTP error 40[13] ": "The index refused the login: put the right one into its URL, or into "
    "~/.netrc. Logins in a keyring don't reach the build",
}


def cure_of(printed: str) -> str:
    """Find what helps against a failure, by what was printed: pure."""
    for pattern, cure in CURES.items():
        if found := re.search(pattern, printed):
            return cure.format(*found.groups())
    return "Fix that line, or the packages it installs"


def follow_answers(
    answers: Iterable[Mapping[str, Any]], report: Report, clean: Callable[[str], str] = str
) -> None:
    """Follow a build of the plain builder.

    Parameters
    ----------
    answers : iterable of mapping
        What the engine says.
    report : callable
        Told each step, and what it prints.
    clean : callable
        Takes secrets out of a line, before it is cut.

    Raises
    ------
    ImageError
        If a line of the Dockerfile fails.
    """
    log, step, failure = BuildLog(report), "FROM", None
    pulled, begun = Tenths("pulling the base image", report), ""
    for answer in answers:  # to their end: else the connection stays open
        text = begun + str(answer.get("stream", ""))
        # A line may come in pieces: only a whole one can be cleaned.
        whole, _, begun = text.rpartition("\n")
        if "error" in answer:
            whole, begun = text, ""
        for line in map(clean, whole.splitlines()):
            if match := STEP_OF_ENGINE.match(line):
                step = f"Step {match[1]} : {line[match.end() :]}"
                log.begin(step)
            else:
                log.take(step, line)
        if "error" in answer:
            failure = log.failure(step, clean(str(answer["error"])))
        pulled.take(answer)
    if failure:
        raise failure


def follow_plain(lines: Iterable[str], report: Report, clean: Callable[[str], str] = str) -> None:
    """Follow a build of BuildKit, from what it prints with ``--progress=plain``.

    Parameters
    ----------
    lines : iterable of str
        What it prints.
    report : callable
        Told each step, and what it prints.
    clean : callable
        Takes secrets out of a line, before it is cut.

    Raises
    ------
    ImageError
        If a line of the Dockerfile fails, or the whole build.
    """
    log, names, failure, last = BuildLog(report), dict[str, str](), None, ""
    for line in (clean(COLORS.sub("", line.rstrip())) for line in lines):
        if match := STEP.fullmatch(line):
            if match[1] not in names:
                names[match[1]] = match[2]
                log.begin(match[2])
        elif match := OTHER_STEP.fullmatch(line):
            names.setdefault(match[1], match[2])
        elif match := PRINTED.fullmatch(line):
            if match[1] in names:
                log.take(names[match[1]], match[2])
        elif match := FAILED.fullmatch(line):
            failure = failure or log.failure(names.get(match[1], f"step {match[1]}"), match[2])
        elif match := AT_ALL.fullmatch(line):
            last = match[1]
    if failure or last:
        raise failure or ImageError(f"the image can't be built: {last}")


class Tenths:
    """Says of layers, all together, each tenth that is moved."""

    def __init__(self, action: str, report: Report) -> None:
        self._action, self._report = action, report
        self._moved: dict[str, tuple[int, int]] = {}
        self._shown = -1

    def take(self, answer: Mapping[str, Any]) -> None:
        """Look whether an answer of the engine is about a layer on its way."""
        detail = answer.get("progressDetail") or {}
        if "total" not in detail or answer.get("status") == "Extracting":
            return
        self._moved[str(answer.get("id"))] = (detail.get("current", 0), detail["total"])
        done, total = (sum(numbers) for numbers in zip(*self._moved.values(), strict=True))
        done = min(done, total)  # what is sent is more than what it is packed from
        tenth = 10 * done // max(total, 1)
        if tenth > self._shown and total >= SHOWN_BYTES:
            self._shown = tenth
            self._report(f"{self._action}: {done / 1e6:.0f} of {total / 1e6:.0f} MB")


def shortened(line: str, width: int = 100) -> str:
    """Cut a line to what fits beside others."""
    return line if len(line) <= width else f"{line[: width - 1]}…"
