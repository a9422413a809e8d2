"""Files of requirements, as people have them: of any encoding, with options, notes and hashes."""

from __future__ import annotations

import codecs
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from dask_knot.environment.conda import CONDA
from dask_knot.environment.origins import path_of
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
EDITABLE = re.compile(r"(?:-e|--editable)[ =]*(.+)")
#: Options of single requirements, which end a line: of files' hashes, and of how they are built.
OF_A_LINE = re.compile(r"\s+--(hash|config-settings?|global-option)[= ].*$")
#: Other names of files of requirements, as pip-tools, rye and others write them.
ENDINGS = (".txt", ".in", ".lock", ".pip", ".reqs", ".requirements")
INSTALLED = "Install the project here (`pip install -e .`) and name it, or use `auto`"
PIXI = "Run this in its environment (`pixi run`) and use `auto`, or take {conda}"
PIPENV = "Run `pipenv requirements > requirements.txt` and use that file"
#: Files of other tools, by patterns of their names, and what to give instead.
OTHERS = {
    r"(conda-lock|.*\.conda-lock)\.ya?ml": "Make an explicit list for Linux (`conda-lock render "
    "-k explicit`) and pass it to conda: `--conda conda-linux-64.lock`",
    r"(environment|env|conda).*\.ya?ml": "Pass it to conda: `--conda {path}`",
    r"pyproject\.toml|setup\.py|setup\.cfg": INSTALLED,
    r"poetry\.lock": "Run `poetry install` and name the packages, or use `auto`",
    r"uv\.lock": "Run `uv sync` and name the packages, or use `auto`",
    r"pdm\.lock": "Run `pdm install` and name the packages, or use `auto`",
    r"pylock(\..+)?\.toml": "Install what it lists here, and name the packages, or use `auto`",
    r"pixi\.(toml|lock)": PIXI,
    r"pipfile(\.lock)?": PIPENV,
    r".+\.ipynb": "Name it as the source, with `auto` as the package: the image then gets what "
    "it imports",
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


def cure_of_other(text: str) -> str:
    """Say what to give instead of a file of another tool; "" if it isn't one."""
    name = re.split(r"[/\\]", text)[-1].lower()
    cures = (cure for pattern, cure in OTHERS.items() if re.fullmatch(pattern, name))
    return next(cures, "").format(path=text, conda=CONDA)


def is_file_of_requirements(text: str) -> bool:
    """Tell a file of requirements by its ending; names of packages may end so, too."""
    return text.endswith(ENDINGS[:2]) or (text.endswith(ENDINGS) and os.path.isfile(text))


def is_place(text: str) -> bool:
    """Tell a folder, a wheel or an archive, as pip does: a path, not the name of a package."""
    place = re.sub(r"\s*;.*$", "", text).strip("'\"")
    is_path = re.match(r"\.{0,2}[/\\]|~|\.{1,2}(\[|$)|[A-Za-z]:[/\\]|file:", place)
    is_named = "/" in place or place.endswith((".whl", ".tar.gz", ".zip"))
    return bool(is_path or (is_named and not re.search(r"^-|[@:<>=]", place)))


def place_of(text: str) -> Path:
    """Give the path that stands in a line: without quotes, extras, and marker."""
    plain = re.sub(r"(\[[^]]*\])?\s*(;.*)?$", "", text.strip())
    quoted = re.fullmatch(r"(['\"])(.*)\1", plain)
    plain = quoted[2] if quoted else plain.replace("\\ ", " ")
    path = path_of(plain)
    return path if path is not None else Path(os.path.expanduser(plain))


def extras_of(text: str) -> set[str]:
    """Give the extras that stand behind a path."""
    named = re.search(r"\[([\w., -]*)\]['\"]?\s*(;.*)?$", text)
    return {one.strip() for one in named[1].split(",") if one.strip()} if named else set()


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
        problems.add(f"the requirements {path} can't be read: {error.strerror}", "Check the name")
        return
    for entry in _entries(text):
        named = re.match(r"(?:-r|--requirement|(-c|--constraint))[ =]*(.+)", entry)
        name = place_of(named[2]) if named else Path()
        if named and "://" in named[2]:
            problems.add(
                f"{path} refers to {named[2]}, but images are prepared without using the network",
                "Download that file next to it, and refer to it by its path",
            )
        elif named and named[1]:
            beside = RequirementsFile()
            _read(path.parent / name, beside, problems, seen)
            found.constraints += beside.requirements + beside.constraints
        elif named:
            _read(path.parent / name, found, problems, seen)
        elif SOURCES.match(entry):
            found.options.append(_beside(entry, path.parent))
        elif not IDLE.match(entry):
            _add(entry, path, found, problems)


def _add(entry: str, path: Path, found: RequirementsFile, problems: Problems) -> None:
    entry = OF_A_LINE.sub("", entry)
    editable = EDITABLE.match(entry)
    if editable and re.match(r"\w+\+", editable[1]):
        entry = _named(editable[1])
    elif editable or is_place(entry):
        place = editable[1] if editable else entry
        extras = f"[{','.join(sorted(named))}]" if (named := extras_of(place)) else ""
        entry = f"-e {(path.parent / place_of(place)).resolve()}{extras}"
    elif entry.startswith("-"):
        problems.add(
            f"{path} has the line {entry!r}, which means nothing inside an image",
            "Remove the line; if it leads to a package, name that package",
        )
        return
    found.requirements.append(entry)


def _named(reference: str) -> str:
    """Put the name of a reference (``#egg=``) before it; keep the folder that it says."""
    url, _, fragment = reference.partition("#")
    told = dict(part.partition("=")[::2] for part in fragment.split("&"))
    name = f"{told['egg']} @ " if told.get("egg") else ""
    folder = f"#subdirectory={told['subdirectory']}" if "subdirectory" in told else ""
    return f"{name}{url}{folder}"


def _beside(option: str, folder: Path) -> str:
    """Make the folder of an option one that holds wherever it is read."""
    match = re.fullmatch(r"(-f|--find-links)[ =]*(\S+)", option)
    if match and "://" not in match[2] and os.path.exists(folder / match[2]):
        return f"--find-links {(folder / match[2]).resolve()}"
    return option


def _entries(text: str) -> list[str]:
    text = text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
    lines = re.sub(r"\\[ \t]*\n", " ", text).split("\n")
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
