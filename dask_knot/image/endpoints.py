"""Which container engine there is: Docker's, or Podman's, wherever its socket is.

In the order of Docker's own command: `DOCKER_HOST`, `DOCKER_CONTEXT`, the context that was chosen,
the usual socket. Who said where to look gets that engine, or is told why not. Who said nothing gets
the first one that answers: those who install Podman, Colima or a rootless Docker have no other.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dask_knot.errors import EngineError
from dask_knot.extras import extra
from dask_knot.image.logins import docker_folder, readable_json, spared

#: Sockets below the user's home, by whose they are.
AT_HOME = {
    "Docker Desktop": (".docker/run/docker.sock", ".docker/desktop/docker.sock"),
    "Colima": (".colima/default/docker.sock", ".config/colima/default/docker.sock"),
    "Rancher Desktop": (".rd/docker.sock",),
    "OrbStack": (".orbstack/run/docker.sock",),
    "Podman's machine": (
        ".local/share/containers/podman/machine/podman.sock",
        ".local/share/containers/podman/machine/podman-machine-default/podman.sock",
    ),
}
#: Seconds until somebody who listens takes a call, and says who he is.
PATIENCE, UNTIL_NAMED = 10.0, 60.0
USUAL = "/var/run/docker.sock"
WINDOWS = ("npipe:////./pipe/docker_engine", "npipe:////./pipe/podman-machine-default")
CURES = {
    PermissionError: "permission denied: add yourself to its group (`sudo usermod -aG docker "
    "$USER`, then log in again), or use a rootless engine",
    ConnectionRefusedError: "connection refused: it isn't running",
    FileNotFoundError: "not there",
    TimeoutError: "no answer: it hangs (restart it), or a firewall blocks it",
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A place where an engine may answer.

    Attributes
    ----------
    url : str
        As `DOCKER_HOST` has it.
    whose : str
        Who said so, or whose socket it is.
    certificates : Path or None
        The folder of the certificates, if it wants some.
    """

    url: str
    whose: str
    certificates: Path | None = None

    def variables(self) -> dict[str, str]:
        """Give what leads Docker's own command to the same engine."""
        tls = {"DOCKER_CERT_PATH": str(self.certificates), "DOCKER_TLS_VERIFY": "1"}
        return {"DOCKER_HOST": self.url, **(tls if self.certificates else {})}


def candidates(environ: Mapping[str, str], home: Path) -> list[Endpoint]:
    """Name the places to look at, in order; just one, if somebody said which.

    Raises
    ------
    EngineError
        If the context that was chosen isn't there, or is damaged.
    """
    if host := environ.get("DOCKER_HOST"):
        tls = environ.get("DOCKER_CERT_PATH") if environ.get("DOCKER_TLS_VERIFY") else None
        return [Endpoint(host, "DOCKER_HOST", Path(tls) if tls else None)]
    folder = docker_folder(environ, home)
    chosen = readable_json(folder / "config.json").get("currentContext")
    name, source = environ.get("DOCKER_CONTEXT"), "DOCKER_CONTEXT"
    if not name:
        name, source = chosen, str(folder / "config.json")
    if name and name != "default":
        return [_context(folder, str(name), source)]
    return list(_usual(environ, home))


def _context(folder: Path, name: str, source: str) -> Endpoint:
    place = hashlib.sha256(name.encode()).hexdigest()
    meta = readable_json(folder / "contexts/meta" / place / "meta.json")
    endpoints = meta.get("Endpoints")
    docker = endpoints.get("docker") if isinstance(endpoints, dict) else None
    host = docker.get("Host") if isinstance(docker, dict) else None
    if not host:
        raise EngineError(
            f"the Docker context {name!r}, named by {source}, is missing or damaged: see "
            "`docker context ls`, and choose another (`docker context use default`), or set "
            "DOCKER_HOST"
        )
    tls = folder / "contexts/tls" / place / "docker"
    return Endpoint(str(host), f"the context {name!r}", tls if tls.is_dir() else None)


def _usual(environ: Mapping[str, str], home: Path) -> Iterator[Endpoint]:
    if sys.platform == "win32":
        yield from (Endpoint(url, "this machine") for url in WINDOWS)
        return
    runtime = Path(environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    yield Endpoint(f"unix://{USUAL}", "Docker")
    yield Endpoint(f"unix://{runtime}/docker.sock", "rootless Docker")
    for whose, sockets in AT_HOME.items():
        yield from (Endpoint(f"unix://{home / socket}", whose) for socket in sockets)
    if host := environ.get("CONTAINER_HOST", ""):
        yield Endpoint(host, "CONTAINER_HOST")
    yield Endpoint(f"unix://{runtime}/podman/podman.sock", "rootless Podman")
    yield Endpoint("unix:///run/podman/podman.sock", "Podman")


def connect(**options: Any) -> Any:
    """Connect to the engine that answers; close the client after use.

    Parameters
    ----------
    **options
        As `docker.DockerClient` takes them.

    Returns
    -------
    docker.DockerClient
        With `endpoint`: which engine it is.

    Raises
    ------
    EngineError
        If none does; it lists where it was looked for, and what each place said.
    """
    said = []
    places = candidates(os.environ, Path.home())
    for place in places:
        answer = _reach(place, options)
        if not isinstance(answer, str):
            return answer
        said.append((place, answer))
    absent = [place for place, words in said if words == CURES[FileNotFoundError]]
    lines = [f"{one.whose} ({one.url}): {words}" for one, words in said if one not in absent]
    if absent:
        names = ", ".join(f"{one.whose} ({one.url.removeprefix('unix://')})" for one in absent)
        lines.append(f"No such file: {names}")
    raise EngineError("none answers: " + "; ".join(lines))


def _reach(place: Endpoint, options: Mapping[str, Any]) -> Any:
    """Give a client of an engine; if it doesn't answer, why."""
    with extra():
        import docker
        from docker.errors import DockerException

    client = None
    try:
        _knock(place.url)
        with spared(os.environ, Path.home()) as logins:
            told = {**options, "timeout": UNTIL_NAMED}  # one that hangs must not hold us up
            client = docker.DockerClient(place.url, tls=_tls(place), **_ssh(place), **told)
            if logins is not None:
                client.api.reload_config(str(logins))
        client.ping()
        client.api.timeout = options.get("timeout", UNTIL_NAMED)
    except (DockerException, OSError, ValueError) as error:
        if client is not None:
            client.close()
        return _words(error)
    client.endpoint = place
    return client


def _knock(url: str) -> None:
    """Look whether somebody listens.

    The Docker SDK leaves a socket open where nobody does, and waits for minutes for a machine that
    a firewall hides.
    """
    parts = urlsplit(url)
    if parts.scheme == "unix" and hasattr(socket, "AF_UNIX"):
        with socket.socket(socket.AF_UNIX) as knocking:
            knocking.settimeout(PATIENCE)
            knocking.connect(url.removeprefix("unix://"))
    elif parts.scheme in ("tcp", "http", "https") and parts.hostname and parts.port:
        with socket.create_connection((parts.hostname, parts.port), PATIENCE):
            pass


def _ssh(place: Endpoint) -> dict[str, bool]:
    """Take the system's ssh, which knows the user's keys and hosts."""
    return {"use_ssh_client": True} if place.url.startswith("ssh:") else {}


def _tls(place: Endpoint) -> Any:
    from docker.tls import TLSConfig

    folder = place.certificates
    if folder is None:
        return False
    files = {name: str(folder / f"{name}.pem") for name in ("cert", "key", "ca")}
    pair = (files["cert"], files["key"]) if Path(files["cert"]).exists() else None
    return TLSConfig(client_cert=pair, ca_cert=files["ca"], verify=True)


def _words(error: BaseException) -> str:
    """Find the system's reason below what three libraries made of it."""
    for kind, words in CURES.items():
        reason: BaseException | None = error
        while reason is not None:
            if isinstance(reason, kind) or kind.__name__ in repr(reason):
                return words
            reason = reason.__cause__ or reason.__context__
    return str(error).rstrip(".")
