"""The specification of the jobs' image: keyword before dask.config (`knot.build`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from dask_knot.settings import checks
from dask_knot.settings.notes import is_noted_source
from dask_knot.settings.resolver import Check, is_empty, keywords, resolved, section

PLATFORMS = ("linux/amd64", "linux/arm64")
NETWORKS = ("default", "host", "none")


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """The specification of the jobs' image.

    Attributes
    ----------
    packages : tuple of str
        Requirements (``pandas``, ``scipy>=1.14``), git references (``git+https://...@v1``), files
        of requirements (``requirements.txt``), or ``auto``: what `source` imports. A package
        without a version is taken in the version that is installed here.
    source : str or None
        The script, notebook or folder that ``auto`` reads; None: the running script.
    debian : tuple of str
        Debian packages.
    lines : tuple of str
        More lines of the Dockerfile, after the packages, as root.
    base : str or None
        The image to start from; None: the slim one of Python's minor version here.
    conda : str or None
        Take conda's packages from conda: ``here``, those that are installed here, or those of a
        file (``environment.yml``, an explicit list).
    dockerfile : str or None
        A Dockerfile to start from, its folder being the context.
    image : str or None
        An image that is ready: nothing is built.
    platform : str or None
        ``linux/amd64`` or ``linux/arm64``; None: that of the stack, or of this machine.
    network : str or None
        The network while it is built; ``host`` where the Docker engine has no other.
    remote : bool or None
        Whether it is built in the AWS account; None: there where no Docker engine answers here. An
        image for this machine only is built here.
    """

    packages: tuple[str, ...] = ("auto",)
    source: str | None = None
    debian: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    base: str | None = None
    conda: str | None = None
    dockerfile: str | None = None
    image: str | None = None
    platform: str | None = None
    network: str | None = None
    remote: bool | None = None

    def __post_init__(self) -> None:
        if self.platform is not None:
            _platform("platform", self.platform)
        if self.network is not None:
            _network("network", self.network)
        if self.base and self.dockerfile:
            raise checks.wrong(
                "base",
                self.base,
                "left out when there is a Dockerfile, as its FROM names the base image",
            )
        if self.conda and self.dockerfile:
            raise checks.wrong("conda", self.conda, "left out when there is a Dockerfile")
        if self.conda and self.conda != "here" and not Path(self.conda).is_file():
            raise checks.wrong("conda", self.conda, "here, or a file that exists")
        if self.dockerfile and not Path(self.dockerfile).is_file():
            raise checks.wrong("dockerfile", self.dockerfile, "a file that exists")


def resolve_spec(given: Mapping[str, Any]) -> ImageSpec:
    """Merge keywords with the configuration (`knot.build`), and check everything.

    Parameters
    ----------
    given : mapping of str to Any
        Attributes of `ImageSpec`; None, or nothing in a list, means that the configuration decides.

    Raises
    ------
    ConfigurationError
        If a name is unknown or a value is wrong; the message names the valid ones.
    """
    said = keywords(given, "an image has no setting", is_empty)
    configured = section("knot.build", _is_blank)
    for source in (configured, said):
        source.check_names(_CHECKS)
    found = resolved(_CHECKS, said, configured)
    if not given.get("source") and is_noted_source(found.get("source", "")):
        del found["source"]
    return ImageSpec(**found)


def _is_blank(name: str, value: object) -> bool:
    return value == "" or is_empty(name, value)


def _text(name: str, value: object) -> str:
    return checks.text(name, str(value) if isinstance(value, Path) else value)


def _conda(name: str, value: object) -> str:
    return "here" if value is True else _text(name, value)


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):  # as the environment names several
        value = value.split(",")
    if not isinstance(value, (list, tuple)):
        raise checks.wrong(name, value, "a list of texts")
    return tuple(checks.text(name, one).strip() for one in value)


def _lines(name: str, value: Any) -> tuple[str, ...]:
    # A line of a Dockerfile may have commas.
    return _texts(name, value.splitlines() if isinstance(value, str) else value)


def _platform(name: str, value: object) -> str:
    return checks.one_of(name, value, PLATFORMS)


def _network(name: str, value: object) -> str:
    return checks.one_of(name, value, NETWORKS)


_CHECKS: dict[str, Check] = {
    **{field.name: _text for field in fields(ImageSpec)},
    "packages": _texts,
    "conda": _conda,
    "debian": _texts,
    "lines": _lines,
    "platform": _platform,
    "network": _network,
    "remote": checks.flag,
}
