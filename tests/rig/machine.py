"""The emulated AWS, on loopback only: a Docker engine, a registry at ECR's name, AWS's calls.

- The Docker engine has a base image ``python:X.Y-slim`` made from this machine's Python, so that an
  unmodified Dockerfile builds. Containers use the network of the host (``network_mode="host"``).
- The registry answers at the name of the emulated ECR, with the login that ECR hands out.
- ``tests.rig.server`` is moto with an AWS Batch whose jobs are containers.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.rig.daemons import Daemon, answers, free_address, free_port

HERE = Path(__file__).parent
ACCOUNT, REGION = "123456789012", "us-east-1"
REGISTRY_NAME = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
#: The Debian packages that have what runs here, by the command that shows they are there.
PACKAGES = {
    "dockerd": "docker.io",
    "docker-registry": "docker-registry",
    "htpasswd": "apache2-utils",
}
REGISTRY = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/registry}}, delete: {{enabled: true}}}}
http: {{addr: "{address}:80"}}
auth: {{htpasswd: {{realm: emulated-ecr, path: {folder}/htpasswd}}}}
"""


@dataclass(frozen=True, slots=True)
class Rig:
    """An emulated AWS that runs.

    Attributes
    ----------
    endpoint
        Where AWS's calls are answered.
    docker_host
        Where the Docker engine is.
    environment
        The variables with which boto3 and the Docker SDK find both.
    folder
        Where the logs of everything are.
    """

    endpoint: str
    docker_host: str
    environment: Mapping[str, str]
    folder: Path

    def client(self, service: str) -> Any:
        """Make a boto3 client, as an administrator."""
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def docker(self) -> Any:
        """Make a client of the Docker engine; close it after use."""
        import docker

        return docker.DockerClient(self.docker_host, timeout=300)

    def reclaim(self, job_id: str) -> None:
        """Take a running job's machine away, as EC2 does with Spot instances."""
        self._post(f"rig/reclaim/{job_id}")

    def enforce_permissions(self, enforce: bool = True) -> None:
        """Check every call against IAM from now on, or let everybody do everything again."""
        self._post("moto-api/reset-auth", "0" if enforce else "inf")

    def asked(self, user: str) -> set[str]:
        """Tell which permissions a user was asked for, in lower case, while they were checked."""
        with urllib.request.urlopen(f"{self.endpoint}/rig/asked/{user}", timeout=30) as answer:
            return set(json.load(answer))

    def counts(self) -> Counter[str]:
        """Tell how often each call was made: ``client batch submitjob``, ``jobs s3 get``."""
        with urllib.request.urlopen(f"{self.endpoint}/rig/counts", timeout=30) as answer:
            return Counter(json.load(answer))

    def refuse(self, service: str, code: str, times: int) -> None:
        """Answer so many requests to a service with an error."""
        self._post(f"rig/refuse/{service}/{code}/{times}")

    def stick(self, stack: str) -> None:
        """Leave a stack as one whose update could not be rolled back."""
        self._post(f"rig/stick/{ACCOUNT}/{REGION}/{stack}")

    def reset(self) -> None:
        """Forget everything that was made in AWS; images stay in the Docker engine."""
        self._post("moto-api/reset")

    def _post(self, path: str, text: str = "") -> None:
        request = urllib.request.Request(
            f"{self.endpoint}/{path}", text.encode(), {"Content-Type": "text/plain"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()


def why_not() -> str | None:
    """Say why the rig can't run here; None if it can."""
    if not Path("/etc/debian_version").exists() or shutil.which("apt-get") is None:
        return "the emulated AWS of the tests needs Debian, where it installs a Docker engine"
    if os.geteuid() != 0:
        return "the emulated AWS of the tests needs root: it starts a Docker engine"
    missing = [name for name in ("moto", "docker", "boto3") if find_spec(name) is None]
    return f"the emulated AWS of the tests needs {', '.join(missing)}" if missing else None


@contextmanager
def running(folder: Path, slots: int = 2) -> Iterator[Rig]:
    """Run an emulated AWS.

    Parameters
    ----------
    folder : Path
        Where everything of it is kept; its path must be short, for the engine's socket.
    slots : int
        How many jobs run at once.
    """
    install(PACKAGES)
    address, port = free_address(80), free_port()
    docker_host = f"unix://{folder}/docker.sock"
    environment = {
        "DOCKER_HOST": docker_host,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    rig = Rig(environment["AWS_ENDPOINT_URL"], docker_host, environment, folder)
    with ExitStack() as stack:
        _start_engine(stack, folder, address)
        _start_registry(stack, folder, address)
        variables = environment | {"RIG_BATCH_SLOTS": str(slots), "RIG_BATCH_SHORTEST_TIMEOUT": "1"}
        registry = f"http://{address}:80"
        command = [sys.executable, "-m", "tests.rig.server", str(port), str(folder), registry]
        variables["PYTHONPATH"] = str(HERE.parent.parent)
        server = stack.enter_context(Daemon(command, folder / "aws.log", variables))
        server.wait_until(lambda: answers("127.0.0.1", port))
        make_base_image(rig)
        yield rig


def install(packages: Mapping[str, str]) -> None:
    """Install the Debian packages whose commands are missing; one of several workers does it."""
    with Path(tempfile.gettempdir(), "dask-knot-rig.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        _install_missing(packages)


def _install_missing(packages: Mapping[str, str]) -> None:
    missing = [package for command, package in packages.items() if shutil.which(command) is None]
    if not missing:
        return
    quiet = ["-qq", "-o", "Dpkg::Use-Pty=0"]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
        subprocess.run(
            ["apt-get", *quiet, *command],
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=600,
        )


def _start_engine(stack: ExitStack, folder: Path, address: str) -> None:
    """Start a Docker engine that finds ECR's name at a loopback address; nobody else does."""
    hosts = folder / "hosts"
    hosts.write_text(f"{Path('/etc/hosts').read_text()}\n{address} {REGISTRY_NAME}\n")
    options = {
        "host": f"unix://{folder}/docker.sock",
        "data-root": f"{folder}/docker",
        "exec-root": f"{folder}/exec",
        "pidfile": f"{folder}/docker.pid",
        "bridge": "none",
        "iptables": "false",
        "ip6tables": "false",
        "exec-opt": "native.cgroupdriver=cgroupfs",
        "insecure-registry": REGISTRY_NAME,
    }
    flags = " ".join(f"--{name}='{value}'" for name, value in options.items())
    script = f"mount --bind '{hosts}' /etc/hosts && exec dockerd {flags}"
    command = ["unshare", "-m", "sh", "-c", script]
    engine = stack.enter_context(Daemon(command, folder / "dockerd.log", {}))
    engine.wait_until(lambda: _engine_answers(f"{folder}/docker.sock"))


def _engine_answers(path: str) -> bool:
    # The Docker SDK leaves a socket open where nobody answers yet.
    with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
        client.settimeout(5)
        client.connect(path)
        client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        return b" 200 " in client.recv(100)
    return False


def _start_registry(stack: ExitStack, folder: Path, address: str) -> None:
    from tests.rig.server.images import LOGIN

    name, _, password = LOGIN.partition(":")
    made = subprocess.run(["htpasswd", "-Bbn", name, password], check=True, capture_output=True)
    (folder / "htpasswd").write_bytes(made.stdout)
    settings = folder / "registry.yml"
    settings.write_text(REGISTRY.format(folder=folder, address=address))
    command = ["docker-registry", "serve", str(settings)]
    registry = stack.enter_context(Daemon(command, folder / "registry.log", {}))
    registry.wait_until(lambda: answers(address, 80))


def make_base_image(rig: Rig) -> None:
    """Import the image that stands for ``python:X.Y-slim``."""
    root, archive = rig.folder / "base", rig.folder / "base.tar"
    subprocess.run([str(HERE / "base_image.sh"), sys.executable, str(root)], check=True)
    with tarfile.open(archive, "w") as tar:
        tar.add(root, ".")
    tag = f"{sys.version_info.major}.{sys.version_info.minor}-slim"
    path = "PATH=/usr/local/bin:/usr/bin:/bin"
    client = rig.docker()
    try:
        client.api.import_image_from_file(
            str(archive), repository="python", tag=tag, changes=[f"ENV {path}"]
        )
    finally:
        client.close()
    shutil.rmtree(root)
    archive.unlink()
