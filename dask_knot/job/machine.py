"""Finds out on which machine a job runs: what it costs depends on that.

Containers often don't reach the metadata of their instance, from which they could take its role:
in the stacks of `dask knot up` they don't. Its firmware tells the type as well, the ECS agent tells
the zone, and the client which lifecycles the machines of its queue have. What nobody tells isn't
known; nothing waits for an answer, and nothing is guessed.
"""

from __future__ import annotations

import json
import platform
import re
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from dask_knot.run.machine import FARGATE, LIFECYCLES, LOCAL, UNKNOWN, Machine

#: Where an instance tells about itself, as AWS's own programs find it.
INSTANCE = "http://169.254.169.254"
INSTANCE_IPV6 = "http://[fd00:ec2::254]"
#: Seconds for an answer: it comes from the machine itself.
PATIENCE = 1.0
#: What of an answer is read.
_MOST_BYTES = 2**20
#: As AWS calls them.
_ARCHITECTURES = {"aarch64": "arm64", "amd64": "x86_64"}
#: Names of instance types; older machines have their hypervisor's instead.
_TYPE = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", re.ASCII)
#: What asking raises where nobody answers, or says what makes no sense.
_SILENCE = (OSError, HTTPException, ValueError, TypeError, AttributeError)


class JobSite:
    """The machine of this job, and when its program began.

    On AWS it is asked for in a thread beside the tasks. Everywhere else it is known at once.

    Parameters
    ----------
    environment : mapping of str to str
        The variables of the process.

    Attributes
    ----------
    started : float
        When the program began, in seconds since the epoch.
    machine : Machine
        As much as is known by now.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.started = time.time()
        own = Machine(platform.node(), architecture=_architecture())
        is_on_aws = _is_on_aws(environment)
        self.machine = own if is_on_aws else own._replace(lifecycle=LOCAL)
        if is_on_aws:
            ask = threading.Thread(target=self._ask, args=(environment,), name="dask-knot-machine")
            ask.daemon = True
            ask.start()

    def _ask(self, environment: Mapping[str, str]) -> None:
        self.machine = _joined(look_up(environment), self.machine)


def look_up(environment: Mapping[str, str], root: Path = Path("/")) -> Machine:
    """Ask AWS where a job runs; blocks for some seconds at most."""
    task = _task(environment)
    possible = environment.get("KNOT_LIFECYCLES", "").split()
    lifecycle = possible[0] if len(possible) == 1 and possible[0] in LIFECYCLES else ""
    known = Machine(zone=str(task.get("AvailabilityZone") or ""), lifecycle=lifecycle)
    is_fargate = environment.get("AWS_EXECUTION_ENV") == "AWS_ECS_FARGATE"
    if is_fargate or task.get("LaunchType") == "FARGATE":
        return known._replace(type=FARGATE)
    return _joined(_instance(environment), known._replace(type=_type_of_firmware(root)))


def _joined(told: Machine, known: Machine) -> Machine:
    return Machine(*(new or old for new, old in zip(told, known, strict=True)))


def _type_of_firmware(root: Path) -> str:
    """Read the type of an instance where the kernel shows what its firmware says: on Nitro."""
    folder = root / "sys/class/dmi/id"
    with suppress(OSError, ValueError):
        vendor, name = (
            (folder / one).read_text().strip() for one in ("sys_vendor", "product_name")
        )
        if vendor == "Amazon EC2" and _TYPE.fullmatch(name):
            return name
    return ""


def _is_on_aws(environment: Mapping[str, str]) -> bool:
    """Tell whether AWS Batch has started this: jobs here have one environment, called local."""
    return "AWS_BATCH_JOB_ID" in environment and environment.get("AWS_BATCH_CE_NAME") != "local"


def _architecture() -> str:
    name = platform.machine().lower()
    return _ARCHITECTURES.get(name, name)


def _task(environment: Mapping[str, str]) -> Mapping[str, object]:
    """Ask the ECS agent about the task that this container is of."""
    url = environment.get("ECS_CONTAINER_METADATA_URI_V4", "")
    with suppress(*_SILENCE):
        found = json.loads(_answer(f"{url}/task")) if url else {}
        return found if isinstance(found, dict) else {}
    return {}


def _instance(environment: Mapping[str, str]) -> Machine:
    """Ask the instance what it is."""
    if environment.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return UNKNOWN
    is_ipv6 = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "").lower() == "ipv6"
    default = INSTANCE_IPV6 if is_ipv6 else INSTANCE
    base = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or default
    base = f"{base.rstrip('/')}/latest"
    headers: dict[str, str] = {}
    with suppress(*_SILENCE):  # an old instance has no tokens; a new one answers nobody without
        seconds = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
        headers["X-aws-ec2-metadata-token"] = _answer(f"{base}/api/token", "PUT", seconds)
    told = {}
    with suppress(*_SILENCE):  # the first that isn't told ends it: no second wait
        for name in ("instance-type", "placement/availability-zone", "instance-life-cycle"):
            told[name] = _answer(f"{base}/meta-data/{name}", "GET", headers).strip()
    return Machine(
        type=told.get("instance-type", ""),
        zone=told.get("placement/availability-zone", ""),
        lifecycle=told.get("instance-life-cycle", ""),
    )


def _answer(url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> str:
    """Ask a machine nearby, past any proxy.

    Raises
    ------
    OSError
        If it doesn't answer, or refuses.
    """
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
    try:
        connection.request(method, parts.path, headers=dict(headers or {}))
        answer = connection.getresponse()
        text = answer.read(_MOST_BYTES).decode()
        if answer.status != 200:
            raise OSError(f"{url} answers {answer.status}")
        return text
    finally:
        connection.close()
