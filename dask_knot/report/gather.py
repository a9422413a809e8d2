"""Looks at the machine, the configuration, Docker and the stack: the edge of a report."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import dask
from dask.system import CPU_COUNT
from distributed.system import MEMORY_LIMIT

from dask_knot.errors import KnotError
from dask_knot.report.facts import ReportedCheck, ReportFacts
from dask_knot.settings.defaults import DEFAULTS, reconfigure_if_wiped
from dask_knot.settings.settings import SECTIONS, resolve

#: Packages whose versions matter: ours, what is required, and what tasks often are made of.
PACKAGES = (
    *("dask_knot", "dask", "distributed", "cloudpickle", "msgpack", "obstore", "zlib-ng"),
    *("tornado", "click", "psutil", "boto3", "botocore", "docker", "bokeh", "jupyterlab"),
    *("dask-labextension", "numpy", "pandas", "pyarrow", "xarray", "zarr", "scipy"),
)
#: Names of environment variables that say where settings, credentials and engines are.
_PREFIXES = ("DASK_", "AWS_", "DOCKER_", "CONTAINER_HOST")
#: Words in names of environment variables whose values are never shown, whatever repeats them.
_TELLING = {"KEY", "TOKEN", "PASSWORD", "PASSWD", "SECRET", "SECRETS", "CREDENTIALS"}
#: Opens a session of AWS, in the region that it is given, else in that of the user.
OpenSession = Callable[..., Any]


def gather(open_one: OpenSession, stack: Callable[[], str]) -> ReportFacts:
    """Look at everything; what can't be seen is a text that says why.

    Parameters
    ----------
    open_one : callable
        Opens a session of AWS, as `dask_knot.aws.doctor.open_and_examine` takes it.
    stack : callable
        Gives the stack's name; the configuration may be wrong about it.
    """
    reconfigure_if_wiped()
    engine, complaint = _resolved()
    checks, unchecked = _examined(open_one, stack, engine)
    return ReportFacts(
        versions={
            "Python": platform.python_version(),
            **{name: _version(name) for name in PACKAGES},
        },
        machine=dict(_machine()),
        settings={
            "knot.engine": engine,
            **dict(_changed("knot", dask.config.get("knot"), DEFAULTS)),
        },
        sources=[*_files(), *_variables()],
        complaint=complaint,
        docker=_docker(),
        checks=checks,
        unchecked=unchecked,
        secrets=[value for name, value in os.environ.items() if _is_telling(name) and value],
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _machine() -> Iterator[tuple[str, str]]:
    yield "platform", f"{platform.platform()}, {platform.machine()}"
    yield "Python", f"{platform.python_implementation()} ({_kind_of_python()})"
    yield "cores", f"{CPU_COUNT} of {os.cpu_count()}"
    yield "memory", f"{MEMORY_LIMIT / 2**30:.1f} GiB"


def _kind_of_python() -> str:
    if "CONDA_PREFIX" in os.environ and sys.prefix == os.environ["CONDA_PREFIX"]:
        return "conda"
    return "virtual environment" if sys.prefix != sys.base_prefix else "the system's"


def _resolved() -> tuple[str, str]:
    """Give the engine in force, and why the settings can't be used."""
    try:
        return resolve({}).engine, ""
    except KnotError as error:
        return str(dask.config.get("knot.engine", "")), str(error)


def _changed(path: str, values: object, defaults: object) -> Iterator[tuple[str, object]]:
    """Give what differs from the defaults; sections are gone through, users' mappings aren't."""
    if values == defaults:
        return
    is_section = path == "knot" or path.removeprefix("knot.") in (*SECTIONS, "aws.up")
    if not (is_section and isinstance(values, Mapping) and isinstance(defaults, Mapping)):
        yield path, values
        return
    for name, value in values.items():
        default = defaults.get(name, defaults.get(str(name).replace("_", "-"), _ABSENT))
        yield from _changed(f"{path}.{name}", value, default)


_ABSENT = object()


def _files() -> Iterator[str]:
    """Name the files of configuration that say something about us."""
    for folder in map(Path, dask.config.paths):
        try:
            files = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
            found = [
                str(file) for file in files if _mentions_us(file.read_text("utf-8", "replace"))
            ]
        except OSError as error:
            found = [f"{folder} can't be read: {error.strerror}"]
        yield from found


def _mentions_us(text: str) -> bool:
    return any(line.startswith("knot:") for line in text.splitlines())


def _variables() -> Iterator[str]:
    """Name the variables that are set, without their values."""
    for name in sorted(os.environ):
        if name.startswith(_PREFIXES):
            yield f"the environment variable {name}"


def _is_telling(name: str) -> bool:
    return not _TELLING.isdisjoint(name.upper().split("_"))


def _docker() -> str:
    try:
        from dask_knot.image.endpoints import connect

        client = connect(timeout=10)
    except KnotError as error:
        # Where nobody put a socket, there is no need for the long list of places.
        return str(error).partition("No such file:")[0].rstrip("; :")
    try:
        found = client.version()
        name = (found.get("Platform") or {}).get("Name") or "Docker"
        return f"{name} {found.get('Version')}, {found.get('Os')}/{found.get('Arch')}"
    except Exception as error:  # of three libraries; and the report goes on in any case
        return f"connected, but it doesn't answer: {error}"
    finally:
        client.close()


def _examined(
    open_one: OpenSession, stack: Callable[[], str], engine: str
) -> tuple[list[ReportedCheck], str]:
    """Let the doctor look at the stack, if somebody can be asked; else say why not."""
    try:
        from dask_knot.aws.doctor import Verdict, open_and_examine

        found = [*open_and_examine(open_one, stack())]
    except KnotError as error:
        return [], str(error)
    checks = [
        ReportedCheck(one.verdict.value, f"{one.what}: {one.text}", one.cure) for one in found
    ]
    is_out = any(
        one.verdict is Verdict.BAD and one.what in ("credentials", "stack") for one in found
    )
    if is_out and engine != "aws":
        return [], f"nothing of AWS is used here (knot.engine: {engine}), and {found[-1].text}"
    return checks, ""
