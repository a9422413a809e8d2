"""The logins that Docker itself keeps: in its configuration, and in helpers that it names.

A configuration is often older than the machine: it came along with a home folder, and names the
helper of a Docker Desktop that was never installed here. Then each build and each pull would fail,
of what everybody may read, too. So helpers that don't work are left out, for us only.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from dask_knot.errors import EngineError

HELPER = "docker-credential-"
#: Seconds that a helper may take to list what it has.
PATIENCE = 10.0
#: Nobody's: the Docker SDK reads the file again where it was told of no login at all.
NOBODY = "registry.invalid"


def docker_folder(environ: Mapping[str, str], home: Path) -> Path:
    """Name the folder of Docker's configuration."""
    return Path(environ.get("DOCKER_CONFIG") or home / ".docker")


def readable_json(file: Path) -> dict[str, Any]:
    """Read a file of Docker's; nothing if it isn't there or is damaged."""
    try:
        found = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def useless_helpers(config: Mapping[str, Any]) -> dict[str, str]:
    """Name the helpers that a configuration names and that don't work here, and why not."""
    helpers = config.get("credHelpers")
    names = [config.get("credsStore"), *(helpers.values() if isinstance(helpers, dict) else ())]
    programs = [f"{HELPER}{name}" for name in dict.fromkeys(names) if name]
    found = {program: complaint(program, shutil.which(program)) for program in programs}
    return {program: why for program, why in found.items() if why}


@lru_cache
def complaint(program: str, place: str | None) -> str:
    """Say why a helper is of no use; nothing if it is.

    One may be here and fail: that of a Docker Desktop that doesn't run, or of a password store that
    nobody has set up.
    """
    if place is None:
        return "isn't here"
    try:
        made = subprocess.run(
            [place, "list"], input="", capture_output=True, text=True, timeout=PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"can't be run ({error})"
    said = (made.stdout + made.stderr).strip().splitlines()
    return f"fails ({said[-1] if said else made.returncode})" if made.returncode else ""


def without_useless(config: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out of a configuration the helpers that don't work here."""
    gone = {program.removeprefix(HELPER) for program in useless_helpers(config)}
    helpers = config.get("credHelpers")
    helpers = helpers if isinstance(helpers, dict) else {}
    kept = {registry: name for registry, name in helpers.items() if name not in gone}
    rest = {k: v for k, v in config.items() if k not in ("credsStore", "credHelpers")}
    rest["auths"] = config.get("auths") or {NOBODY: {}}
    if config.get("credsStore") not in gone and config.get("credsStore"):
        rest["credsStore"] = config["credsStore"]
    return rest | ({"credHelpers": kept} if kept else {})


@contextmanager
def spared(environ: Mapping[str, str], home: Path) -> Iterator[Path | None]:
    """Make a configuration without useless helpers, for as long as somebody reads it.

    Yields
    ------
    Path or None
        The file, in a folder that may stand for Docker's; None if nothing must be left out.

    Raises
    ------
    EngineError
        If Docker's configuration is damaged.
    """
    folder = docker_folder(environ, home)
    check(folder / "config.json")
    config = readable_json(folder / "config.json")
    if not useless_helpers(config):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="dask-knot-") as name:  # for its owner only
        place = Path(name)
        (place / "config.json").write_text(json.dumps(without_useless(config)))
        for other in folder.iterdir():
            if other.name != "config.json":  # contexts, plugins of the command
                (place / other.name).symlink_to(other)
        yield place / "config.json"


def check(file: Path) -> None:
    """Refuse a configuration that nobody can read: logins would be missing without a word.

    Raises
    ------
    EngineError
        It says what is wrong and what to do.
    """
    if not file.is_file():
        return
    try:
        wrong = _damage(json.loads(file.read_text(encoding="utf-8-sig")))
    except (OSError, ValueError) as error:
        wrong = str(error)
    if wrong:
        raise EngineError(
            f"Docker's configuration {file} is damaged ({wrong}): fix it, or move it away "
            "and log in again (`docker login`)"
        )


def _damage(found: Any) -> str:
    """Say what of a configuration the Docker SDK would stumble over; nothing if all is well."""
    if not isinstance(found, dict):
        return "it isn't a table of names and values"
    for part in ("auths", "credHelpers", "proxies", "HttpHeaders"):
        if not isinstance(found.get(part) or {}, dict):
            return f"{part!r} isn't a table of names and values"
    for registry, entry in (found.get("auths") or {}).items():
        login = entry.get("auth", "") if isinstance(entry, dict) else "?"
        try:
            is_login = login == "" or b":" in base64.b64decode(login, validate=True)
        except (TypeError, ValueError):
            is_login = False
        if not is_login:
            return f"the login of {registry} can't be read"
    return ""


def notes(environ: Mapping[str, str], home: Path) -> list[str]:
    """Say which logins are missing, and what to do about it."""
    file = docker_folder(environ, home) / "config.json"
    return [
        f"{file} names the credential helper {program}, which {why}: the logins it keeps "
        "aren't used (public images and ECR need none). Fix the helper, or remove it from "
        "that file and run `docker login` again"
        for program, why in useless_helpers(readable_json(file)).items()
    ]
