"""Files of requirements, as people have them: of any encoding, with options, notes and hashes."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from pathlib import Path

from dask_knot.environment.problems import Problems

#: Byte order marks, the longer ones first.
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: Options that say where packages are: `indexes` knows what to do with them.
SOURCES = re.compile(
    r"(-i|--index-url|--extra-index-url|-f|--find-links|--trusted-host|--no-index)(?=[ =]|$)"
)
#: Options that an image does without: what it installs is known already.
IDLE = re.compile(
    r"--(pre|prefer-binary|require-hashes|no-binary|only-binary|use-feature|use-pep517)(?=[ =]|$)"
)
#: Options of single requirements: of files that were compiled, and of what is built here.
OF_A_LINE = re.compile(r"\s+--(hash|config-settings?|global-option)[= ]\S+")
#: Files of other tools, and what to give instead.
OTHERS = {
    "environment.yml": "Give it to conda, `--conda {}`",
    "environment.yaml": "Give it to conda, `--conda {}`",
    "pyproject.toml": "Install the project here (`pip install -e .`) and name it",
    "poetry.lock": "Run `poetry install` and name the packages, or use `auto`",
    "uv.lock": "Run `uv sync` and name the packages, or use `auto`",
    "pdm.lock": "Run `pdm install` and name the packages, or use `auto`",
    "pipfile": "Run `pipenv requirements > requirements.txt` and name that",
    "pipfile.lock": "Run `pipenv requirements > requirements.txt` and name that",
}


@dataclass(slots=True)
class RequirementsFile:
    """What a file of requirements says, with those that it names.

    Attributes
    ----------
    requirements : list of str
        Requirements and references; a working copy as ``-e PATH``.
    constraints : list of str
        Of ``-c`` files.
    options : list of str
        The lines that say where packages are.
    """

    requirements: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)


def read_file(path: Path, problems: Problems) -> RequirementsFile:
    """Read a file of requirements, and those that it names; each once.

    Parameters
    ----------
    path : Path
        The file.
    problems : Problems
        Told of files that can't be read, and lines that an image can't follow.
    """
    found = RequirementsFile()
    _read(path, found, problems, set())
    return found


def _read(path: Path, found: RequirementsFile, problems: Problems, seen: set[Path]) -> None:
    if path.resolve() in seen:
        return
    seen.add(path.resolve())
    try:
        text = decoded(path.read_bytes())
    except OSError as error:
        problems.add(f"the requirements {path} can't be read: {error.strerror}", "Mend the name")
        return
    for entry in _entries(text):
        named = re.match(r"(?:-r|--requirement|(-c|--constraint))[ =]*(\S+)", entry)
        if named and "://" in named[2]:
            problems.add(
                f"{path} names {named[2]}, and an image is made without asking the network",
                "Put that file beside it, and name it by its path",
            )
        elif named and named[1]:
            beside = RequirementsFile()
            _read(path.parent / named[2], beside, problems, seen)
            found.constraints += beside.requirements + beside.constraints
        elif named:
            _read(path.parent / named[2], found, problems, seen)
        elif SOURCES.match(entry):
            found.options.append(_beside(entry, path.parent))
        elif not IDLE.match(entry):
            _add(entry, path, found, problems)


def _add(entry: str, path: Path, found: RequirementsFile, problems: Problems) -> None:
    editable = re.match(r"(?:-e|--editable)[ =]*(.+)", entry)
    if editable and not re.match(r"\w+\+\w+://", editable[1]):
        entry = f"-e {(path.parent / _plain(editable[1])).resolve()}"
    elif editable:
        entry = re.sub(r"(.*)#egg=([\w.-]+).*", r"\2 @ \1", editable[1])
    elif entry.startswith((".", "/")):
        entry = f"-e {(path.parent / _plain(entry)).resolve()}"
    elif entry.startswith("-"):
        problems.add(
            f"{path} has the line {entry!r}, which can't be followed in an image",
            "Name the package instead: what is installed here from a folder goes in as a wheel",
        )
        return
    found.requirements.append(OF_A_LINE.sub("", entry))


def _plain(path: str) -> str:
    """Take the extras and the marker of a path away."""
    return re.sub(r"(\[[^]]*\])?\s*(;.*)?$", "", path.strip().removeprefix("file://"))


def _beside(option: str, folder: Path) -> str:
    """Make the folder of an option one that holds wherever it is read."""
    match = re.fullmatch(r"(-f|--find-links)[ =]*(\S+)", option)
    if match and "://" not in match[2] and (folder / match[2]).exists():
        return f"--find-links {(folder / match[2]).resolve()}"
    return option


def _entries(text: str) -> list[str]:
    lines = re.sub(r"\\[ \t]*\n", " ", text.replace("\r\n", "\n").replace("\r", "\n")).split("\n")
    entries = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in lines)
    return [entry for entry in entries if entry]


def decoded(data: bytes) -> str:
    """Decode a file as its first bytes say; what says nothing is UTF-8, or else Latin-1.

    PowerShell's ``pip freeze > requirements.txt`` writes UTF-16.
    """
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    for start, encoding in ((0, "utf-16-be"), (1, "utf-16-le")):
        if len(data) > 1 and len(data) % 2 == 0 and not any(data[start:64:2]):
            return data.decode(encoding, "replace")
    declared = re.search(rb"^#.*coding[:=]\s*([-\w.]+)", b"\n".join(data.split(b"\n")[:2]), re.M)
    for encoding in (declared[1].decode() if declared else "utf-8", "utf-8"):
        try:
            return data.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    return data.decode("latin-1")
