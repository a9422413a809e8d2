"""Where packages come from here: indexes, folders, who may read them, and the way to them."""

from __future__ import annotations

import netrc
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dask_knot.environment.certificates import OF_SYSTEM, own_certificates
from dask_knot.environment.credentials import expanded, masked, redact, secrets_of
from dask_knot.environment.pipconf import pip_options
from dask_knot.errors import ImageError

#: Options that a file of requirements may have, by their short forms.
SHORT = {"-i": "index-url", "--pypi-url": "index-url", "-f": "find-links"}
#: Those that have several values.
SEVERAL = ("extra-index-url", "find-links", "trusted-host")
#: Others that a build should be told as well, since they are about the network only.
ON_THE_WAY = ("timeout", "default-timeout", "retries")
#: ``--name value``, ``--name=value``, ``-i value``, ``-ivalue``.
OPTION = re.compile(r"(--[a-z-]+|-[if])(?:\s*=\s*|\s+|(?<=-[if])|$)(.*)")
#: Variables that name files with certificates, as much used programs read them.
CERTIFICATES = (
    *("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE"),
    *("AWS_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS"),
)
NO_PROXY = "NO_PROXY"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", NO_PROXY)
LOOPBACK = re.compile(r"(localhost|127\.[0-9.]+|\[::1\]|0\.0\.0\.0)")


@dataclass(frozen=True, slots=True, repr=False)
class Sources:
    """Where pip finds packages on this machine, and what it needs on the way.

    Tracebacks that show variables show nothing of it.

    Attributes
    ----------
    index : str
        The main index; nothing: PyPI.
    extra, links, trusted : tuple of str
        More indexes, places with links, hosts without a certificate.
    no_index : bool
        No index is asked.
    on_the_way : mapping of str to str
        More options of pip.
    certificates, client_certificate : bytes
        Whom to trust beside those whom everybody trusts, and how to show who asks.
    proxies : mapping of str to str
        By the names that everybody knows them by.
    netrc : str
        Who asks which hosts.
    """

    index: str = ""
    extra: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    no_index: bool = False
    on_the_way: Mapping[str, str] = field(default_factory=dict)
    certificates: bytes = b""
    client_certificate: bytes = b""
    proxies: Mapping[str, str] = field(default_factory=dict)
    netrc: str = ""

    @property
    def urls(self) -> tuple[str, ...]:
        """All places, the main index first."""
        return (*([self.index] if self.index else []), *self.extra, *self.links)

    @property
    def shown(self) -> tuple[str, ...]:
        """All places without a secret: other places may give other packages."""
        closed = ("no index",) if self.no_index else ()
        return tuple(dict.fromkeys([*closed, *map(masked, self.urls)]))

    @property
    def secrets(self) -> set[str]:
        """What must never be shown."""
        return secrets_of([*self.urls, *self.proxies.values()])

    def reachable(self, from_container: bool) -> tuple[Sources, tuple[str, ...]]:
        """Leave out what a build can't reach, and name that.

        Parameters
        ----------
        from_container : bool
            This machine's own addresses are another machine's for the build.
        """
        lost = [url for url in self.urls if is_folder(url)]
        if from_container:
            lost += [url for url in (*self.urls, *self.proxies.values()) if is_loopback(url)]
        kept = replace(
            self,
            index="" if self.index in lost else self.index,
            extra=tuple(url for url in self.extra if url not in lost),
            links=tuple(url for url in self.links if url not in lost),
            proxies={name: url for name, url in self.proxies.items() if url not in lost},
        )
        return kept, tuple(dict.fromkeys(lost))


def is_folder(url: str) -> bool:
    """Tell whether a place is on this machine's disks."""
    return url.startswith("file:") or "://" not in url


def is_loopback(url: str) -> bool:
    """Tell whether a place is this machine, reached by an address that only itself has."""
    host = urlsplit(url).netloc.rpartition("@")[2].lower() if "://" in url else ""
    return re.fullmatch(rf"{LOOPBACK.pattern}(:\d+)?", host) is not None


def find_sources(
    options: Iterable[str], hosts: Iterable[str], environ: Mapping[str, str], home: Path
) -> Sources:
    """Find out where pip looks for packages.

    Parameters
    ----------
    options : iterable of str
        Lines of files of requirements, such as ``--extra-index-url https://...``.
    hosts : iterable of str
        What else is fetched from: only for these, and the indexes, the user's netrc is read.
    environ : mapping of str to str
        The variables of this process.
    home : Path
        The user's home.

    Raises
    ------
    ImageError
        If a file can't be read, or a line not be understood.
    """
    told = pip_options(environ, home, Path(sys.prefix))
    found = {name: told.get(name, "").split() for name in SEVERAL}
    for name, value in (_option(line, environ) for line in options):
        if name in SEVERAL:
            found[name].append(value)
        else:
            told[name] = value
    sources = Sources(
        index=told.get("index-url", "").strip(),
        extra=_once(found["extra-index-url"]),
        links=_once(found["find-links"]),
        trusted=_once(found["trusted-host"]),
        no_index=told.get("no-index", "").lower() in ("1", "y", "yes", "t", "true", "on"),
        on_the_way={name: told[name] for name in ON_THE_WAY if name in told},
        certificates=own_certificates(_trusted_files(told, environ)),
        client_certificate=_content(told.get("client-cert", "")),
        proxies=_proxies(told, environ),
    )
    asked = {urlsplit(url).hostname or "" for url in sources.urls} | {*hosts}
    return replace(sources, netrc=_netrc(asked, environ, home))


def _once(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _option(line: str, environ: Mapping[str, str]) -> tuple[str, str]:
    match = OPTION.fullmatch(line.strip())
    name = SHORT.get(match[1], match[1].removeprefix("--")) if match else ""
    known = (*SEVERAL, "index-url", "no-index")
    words = shlex.split(expanded(match[2], environ)) if match else []
    if name not in known or not (words or name == "no-index"):
        raise ImageError(
            f"{redact(line, ())!r} can't be followed: an option of a file of requirements is one "
            f"of {', '.join(f'--{one}' for one in known)}"
        )
    return name, words[0] if words else "true"


def _trusted_files(told: Mapping[str, str], environ: Mapping[str, str]) -> Iterator[str]:
    yield from filter(None, [told.get("cert", ""), *(environ.get(n, "") for n in CERTIFICATES)])
    yield from OF_SYSTEM


def _content(file: str) -> bytes:
    try:
        return Path(file).read_bytes() if file else b""
    except OSError as error:
        raise ImageError(
            f"pip's client certificate {file} can't be read: {error.strerror}"
        ) from error


def _proxies(told: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Take them by either spelling: the small one is stronger, as everywhere."""
    found = {name: environ.get(name.lower()) or environ.get(name) or "" for name in PROXIES}
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        found[name] = told.get("proxy") or found[name]
    for name, url in found.items():
        if url and name != NO_PROXY and "://" not in url:
            found[name] = f"http://{url}"  # as everybody reads `me:password@proxy:3128`
    return {name: url for name, url in found.items() if url}


def _netrc(hosts: Iterable[str], environ: Mapping[str, str], home: Path) -> str:
    """Write a netrc of those hosts only that a build asks."""
    named = environ.get("NETRC", "")
    places = [Path(named)] if named else [home / ".netrc", home / "_netrc"]
    file = next((place for place in places if place.is_file()), None)
    wanted = sorted({*hosts} - {""})
    if file is None or not wanted:
        return ""
    try:
        read: Any = netrc.netrc(str(file))
    except (netrc.NetrcParseError, OSError, UnicodeDecodeError) as error:
        return _damaged(file, error)
    entries = [(host, read.authenticators(host)) for host in wanted]
    return "".join(
        f"machine {host} login {_quoted(entry[0])} password {_quoted(entry[2])}\n"
        for host, entry in entries
        if entry and entry[2]
    )


def _quoted(text: str) -> str:
    plain = re.fullmatch(r"[^\s\"'#\\]+", text)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return text if plain else f'"{escaped}"'


def _damaged(file: Path, error: Exception) -> str:
    where = getattr(error, "lineno", None)
    raise ImageError(
        f"{file} can't be read{f' (line {where})' if where else ''}, and an index or a repository "
        "may need it: mend it, or set NETRC to another file"
    ) from None  # its message may have the words of that line
