"""The credentials of a recipe: out of all that an image keeps, into the secrets of its build."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from dask_knot.environment.credentials import URL, hide, redact, secrets_of, variables
from dask_knot.environment.indexes import Sources, find_sources
from dask_knot.environment.problems import Report
from dask_knot.errors import ImageError
from dask_knot.image.dockerfile import Recipe
from dask_knot.image.secrets import BuildSecrets

WRITTEN = (
    "a line of the Dockerfile has a credential in a URL: it stays in the image, where "
    "anyone who can pull the image can read it. Install that package with `--package` "
    "instead: its credential isn't kept anywhere"
)


def with_secrets(
    recipe: Recipe, options: Iterable[str], network: str | None, report: Report
) -> Recipe:
    """Take the credentials out of a recipe, and add what pip knows here of indexes.

    Parameters
    ----------
    recipe : Recipe
        With what stands in requirements as people wrote it.
    options : iterable of str
        Lines of files of requirements that name indexes.
    network : str, optional
        The network of the build.
    report : callable
        Told what the build can't reach.

    Raises
    ------
    ImageError
        If pip's configuration can't be read, or a variable of a requirement isn't set here.
    """
    layers = [line for layer in recipe.layers for line in layer]
    lines = [*recipe.requirements, *recipe.constraints, *layers]
    own = _own_variables(lines)
    hosts = {urlsplit(match[0]).hostname or "" for line in lines for match in URL.finditer(line)}
    everything = find_sources(options, hosts, os.environ, Path.home())
    sources, lost = everything.reachable(from_container=network != "host")
    dockerfile = [*recipe.lines, *(recipe.text or "").splitlines()]
    written = [line for line in dockerfile if redact(line, ()) != line]
    if written:
        report(WRITTEN)
    hidden = hide(lines).values | own
    words = everything.secrets | {*hidden.values()} | secrets_of(lines) | _passwords(sources.netrc)
    words |= secrets_of(written)
    return replace(
        recipe,
        requirements=tuple(sorted(hide(recipe.requirements).lines, key=str.lower)),
        constraints=hide(recipe.constraints).lines,
        layers=tuple(hide(layer).lines for layer in recipe.layers),
        indexes=sources.shown,
        unreachable=tuple(map(_unreachable, lost)),
        secrets=BuildSecrets(
            environment=_variables(sources) | hidden,
            files=_files(sources),
            certificates=sources.certificates.decode(),
            proxies=sources.proxies,
            words=frozenset(words),
        ),
    )


def _own_variables(lines: Iterable[str]) -> dict[str, str]:
    """Look up the variables that somebody wrote into requirements: they stay there as they are."""
    found = {name: os.environ.get(name, "") for name in sorted(variables(lines))}
    for name, value in found.items():
        if not value:
            raise ImageError(
                f"a requirement uses ${{{name}}}, but {name} isn't set here: set it, or "
                "write its value into the requirement"
            )
    return found


def _unreachable(url: str) -> str:
    shown = redact(url, ())
    if "://" in url and not url.startswith("file:"):
        return (
            f"{shown} is on this machine, which a build can reach only through this "
            "machine's own network: the image is built without it. To use it, build with "
            "Docker here and `knot.build.network: host` (--network host)"
        )
    return (
        f"pip looks in {shown}, a folder on this machine that a build can't see: packages "
        "that are only there can't be installed. Serve the folder over HTTP, or copy it in "
        "with your own Dockerfile"
    )


def _variables(sources: Sources) -> dict[str, str]:
    """Say it as pip hears it: variables are stronger than any file that an image has."""
    told = {
        "PIP_INDEX_URL": sources.index,
        "PIP_EXTRA_INDEX_URL": " ".join(sources.extra),
        "PIP_FIND_LINKS": " ".join(sources.links),
        "PIP_TRUSTED_HOST": " ".join(sources.trusted),
        "PIP_NO_INDEX": "1" if sources.no_index else "",
    }
    more = {
        f"PIP_{name.upper().replace('-', '_')}": text for name, text in sources.on_the_way.items()
    }
    return {name: text for name, text in (told | more).items() if text}


def _files(sources: Sources) -> dict[str, str]:
    found = {"NETRC": sources.netrc, "PIP_CLIENT_CERT": sources.client_certificate.decode()}
    return {name: text for name, text in found.items() if text}


def _passwords(netrc: str) -> set[str]:
    return {line.partition(" password ")[2].strip('"') for line in netrc.splitlines()}
