"""What pip and uv are told on this machine: files of all levels and variables, the later one wins.

pip itself may be missing (uv makes environments without it), and `pip config` takes half a second:
so its files are read here, in its order, which a test compares with pip's own.
"""

from __future__ import annotations

import configparser
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from dask_knot.errors import ImageError

#: What `pip install` takes from a file; `install` is stronger, wherever it stands.
SECTIONS = ("global", "install")
#: uv's variables, by what pip calls the same; they count where pip isn't told.
OF_UV = {
    "UV_DEFAULT_INDEX": "index-url",
    "UV_INDEX_URL": "index-url",
    "UV_INDEX": "extra-index-url",
    "UV_EXTRA_INDEX_URL": "extra-index-url",
    "UV_FIND_LINKS": "find-links",
    "UV_INSECURE_HOST": "trusted-host",
    "UV_NO_INDEX": "no-index",
}
#: How variables end that have the login of an index that has a name.
LOGIN = ("USERNAME", "PASSWORD")


def pip_options(environ: Mapping[str, str], home: Path, prefix: Path) -> dict[str, str]:
    """Give the options of `pip install` that are configured here, by their long names.

    Parameters
    ----------
    environ : mapping of str to str
        The variables of this process.
    home : Path
        The user's home.
    prefix : Path
        The environment's folder.

    Raises
    ------
    ImageError
        If a file of pip's can't be read: pip would stop there as well.
    """
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for file in config_files(environ, home, prefix):
        for section, options in _read(file).items():
            found[section] |= options
    variables = {
        name[4:].lower().replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith("PIP_") and value
    }
    # pip takes no notice of what is set to nothing.
    merged = {k: v for section in SECTIONS for k, v in found[section].items() if v.strip()}
    return _of_uv(environ) | merged | variables


def _of_uv(environ: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for variable, name in OF_UV.items():
        # UV_INDEX may name them: `name=https://...`.
        words = [_unnamed(word, environ) for word in environ.get(variable, "").split()]
        if words and name != "index-url":
            found[name] = " ".join([*found.get(name, "").split(), *words])
        elif words:
            found.setdefault(name, words[0])
    return found


def _unnamed(word: str, environ: Mapping[str, str]) -> str:
    """Give the URL of an index that has a name, with the login that variables have for that."""
    name, mark, url = word.partition("=")
    if not (mark and re.fullmatch(r"[\w.-]+", name)):
        return word
    stem = f"UV_INDEX_{re.sub(r'[^A-Z0-9]', '_', name.upper())}"
    user, password = (quote(environ.get(f"{stem}_{what}", ""), safe="") for what in LOGIN)
    parts = urlsplit(url)
    if not (user or password) or "@" in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.netloc}"))


def config_files(environ: Mapping[str, str], home: Path, prefix: Path) -> Iterator[Path]:
    """Name the files that pip reads, the strongest last, whether they are there or not."""
    named = environ.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return
    name = "pip.ini" if sys.platform == "win32" else "pip.conf"
    yield from (folder / name for folder in _global_folders(environ))
    if not (named and Path(named).exists()):
        yield home / ("pip" if sys.platform == "win32" else ".pip") / name
        yield _user_folder(environ, home) / name
    yield prefix / name
    if named:
        yield Path(named)


def _global_folders(environ: Mapping[str, str]) -> list[Path]:
    if sys.platform == "win32":
        return [Path(environ.get("PROGRAMDATA", "C:/ProgramData"), "pip")]
    if sys.platform == "darwin":
        return [Path("/Library/Application Support/pip")]
    folders = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    return [*(Path(folder, "pip") for folder in folders.split(os.pathsep) if folder), Path("/etc")]


def _user_folder(environ: Mapping[str, str], home: Path) -> Path:
    if sys.platform == "win32":
        return Path(environ.get("APPDATA") or home, "pip")
    if sys.platform == "darwin":
        folder = home / "Library/Application Support/pip"
        if folder.is_dir():
            return folder
    return Path(environ.get("XDG_CONFIG_HOME") or home / ".config", "pip")


def _read(file: Path) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(file, encoding="utf-8-sig")
    except (configparser.Error, UnicodeDecodeError, OSError) as error:
        words = str(error).replace("\n", " ")
        raise ImageError(
            f"{file}, which tells pip where to find packages, can't be read ({words}): fix "
            "it, or set PIP_CONFIG_FILE to another file"
        ) from error
    return {
        section: {
            name.replace("_", "-").removeprefix("--"): value or ""
            for name, value in parser.items(section)
        }
        for section in SECTIONS
        if parser.has_section(section)
    }
