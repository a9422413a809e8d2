"""AWS's reasons why a container did not start, or nobody knows its end: whose fault, what helps.

Pure tables. The words are those of ECS, Docker and containerd as Batch hands them on, cut off after
some 255 characters. Sources: Amazon ECS Developer Guide, "Stopped task error messages"; AWS Batch
User Guide, "Troubleshooting"; and what people quote in public issues, which the tests name.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import NamedTuple


class Blame(Enum):
    """Whose fault it is that a container did not run."""

    MACHINE = auto()  # another machine, or another time, may do
    NETWORK = auto()  # it may pass; if it doesn't, no machine of the subnets will do
    OWN = auto()  # the image's, the definition's, a role's: the next try ends as this one


class Cause(NamedTuple):
    """A pattern that is looked for anywhere in a reason, whose fault it is, and what helps."""

    pattern: str
    fault: Blame
    cure: str = ""


_NET = "let jobs reach ECR, S3, CloudWatch and ECS; `dask knot doctor` checks routes and addresses"
_IMAGE = "build and push the image with `dask knot image`, or name another image"
_ROLE = (
    "run `dask knot up`: the execution role, or the policy of something it uses, lacks a permission"
)
_DISK = "give machines larger or faster disks: `dask knot up --volume-size ... --volume-type ...`"
_AGAIN = "try again"

#: The first that is found counts. What passes comes before what doesn't: "denied" and "not found"
#: also stand in addresses and in what a proxy says.
CAUSES = (
    Cause(
        r"toomanyrequests|too many requests|pull rate limit|rate exceeded|throttl|\b429\b",
        Blame.NETWORK,
        "use an image in ECR (`dask knot image`), which has no such limit: this registry "
        "refuses more requests for a while",
    ),
    Cause(r"no space left on device|thin pool has", Blame.MACHINE, _DISK),
    Cause(
        r"i/o time|dial tcp|context deadline|deadline exceeded|request cancel|context ca|"
        r"client\.timeout|awaiting headers|tls handshake|no such host|no route to host|"
        r"network is unreachable|connection (refused|reset|timed out|issue)|send request failed|"
        r"temporary failure in name|unexpected eof|: eof\b|\b50[0234]\b|service unavailable|"
        r"task network configuration|service call has been retried",
        Blame.NETWORK,
        _NET,
    ),
    Cause(
        r"log group does not exist", Blame.OWN, "run `dask knot up`, which creates the log group"
    ),
    Cause(
        r"(?<!pull )access ?denied|not authorized|forbidden|\b403\b|unable to assume the role|"
        r"no basic auth|unauthorized|authorization token has expired",
        Blame.OWN,
        _ROLE,
    ),
    Cause(
        r"descriptor matching platform|no match for platform|no matching manifest",
        Blame.OWN,
        "build the image again with `dask knot image`: it is for another architecture",
    ),
    Cause(
        r"executable file not found|no such file or directory|exec format|permission denied|"
        r"no command specified|not a directory",
        Blame.OWN,
        _IMAGE + ": this one lacks the program to start, or has it elsewhere",
    ),
    Cause(
        r"not found|manifest unknown|name unknown|no such image|does not exist|pull access denied|"
        r"requested access to the resource|invalid reference|failed to resolve ref|image manifest",
        Blame.OWN,
        _IMAGE,
    ),
    Cause(r"invalid (mount|volume|value|argument|parameter)", Blame.OWN),
    Cause(r"could not transition|timed out after|docker ?timeout|devmapper", Blame.MACHINE, _DISK),
    Cause(
        r"capacity is unavailable|network interface|ephemeralstorage provisioning|eni\b",
        Blame.MACHINE,
        "try again, or use more subnets that have free addresses (`dask knot doctor`)",
    ),
)

#: How reasons begin that are about a container that never ran, or of whose end nobody knows.
BEGINNINGS = (
    "Cannot",
    "DockerTimeout",
    "ResourceInitialization",
    "Timeout waiting for",
    "Capacity is unavailable",
    "Task failed to start",
    "TaskFailedToStart",
    "Unexpected EC2 error",
    "InternalError",
    "ServerException",
    "ClientException",
    "AgentError",
    "Failed to start",
    "ECS was unable to",
)
#: Without one of them nothing is known of why a container did not start.
_SILENT = re.compile(r"(task ?failed ?to ?start[:. ]*)?", re.IGNORECASE)
#: So many starts that the network spoilt, one after another, are no accident any more.
ACCIDENTS = 3


def cause_of(reason: str) -> Cause | None:
    """Tell whose fault it is, by the words of a reason; None if it isn't about a start.

    Parameters
    ----------
    reason : str
        ``container.reason``, or ``statusReason`` where there is none.
    """
    if not reason.startswith(BEGINNINGS):
        return None
    if _SILENT.fullmatch(reason):
        return Cause("", Blame.MACHINE, _AGAIN)
    for cause in CAUSES:
        if re.search(cause.pattern, reason, re.IGNORECASE):
            return cause
    return Cause("", Blame.MACHINE, _AGAIN)
