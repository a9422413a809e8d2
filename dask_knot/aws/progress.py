"""Follows a stack while CloudFormation changes it, event by event, and reads why it failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dask_knot.aws.session import translated
from dask_knot.errors import StackError
from dask_knot.plural import duration

#: Seconds between two looks at the events.
PAUSE = 2.0
#: Seconds without an event after which it is said what is waited for.
SILENCE = 600.0
#: What holds up the making or deletion of a kind of resource.
HOLDS = (
    (
        "AWS::Batch::ComputeEnvironment",
        "A compute environment waits for its instances to stop, or its role or instance "
        "profile is missing: see the reason in the Batch console. ",
    ),
    (
        "AWS::Batch::JobQueue",
        "A queue waits for its jobs to finish. ",
    ),
    (
        "AWS::EC2::SecurityGroup",
        "A security group waits for the network interfaces of jobs or instances that are "
        "stopping. ",
    ),
)


class StackEvent(NamedTuple):
    """A step of CloudFormation: a resource and what became of it."""

    id: str
    resource: str
    kind: str
    status: str
    reason: str

    @property
    def is_failure(self) -> bool:
        """True if something went wrong here first, not in consequence."""
        return self.status.endswith("_FAILED") and "cancelled" not in self.reason.lower()


EventReport = Callable[[StackEvent], None]


#: The status of what isn't CloudFormation's, but ours: something that may not work.
NOTED = "NOTE"


def noting(report: EventReport) -> Callable[[str], None]:
    """Make a report of events one of texts."""
    return lambda text: report(StackEvent("", "network", text, NOTED, ""))


class Follower:
    """Follows one stack.

    Parameters
    ----------
    client : Any
        boto3's CloudFormation client.
    id : str
        The stack's id: its name finds nothing once it is deleted.
    report : callable
        Told every event once, in the order of time.
    pause : callable
        Waits for so many seconds.
    """

    def __init__(
        self,
        client: Any,
        id: str,
        report: EventReport,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._client, self._id = client, id
        self._report, self._pause = report, pause
        self._seen: set[str] = set()
        self._failures: list[StackEvent] = []
        self._open: dict[str, StackEvent] = {}

    def skip(self) -> None:
        """Take all events until now as old."""
        self._seen.update(event.id for event in self._new_events())

    def follow(self) -> str:
        """EventReport events until the stack comes to rest; return its status then.

        CloudFormation ends by itself, but some of its waits take an hour or three: what it waits
        for is said now and then.
        """
        silence = 0.0
        while True:
            with translated():
                stack = self._client.describe_stacks(StackName=self._id)["Stacks"][0]
            # After the status: the events of its last step are there then.
            new = self._new_events()
            for event in new:
                if event.is_failure:
                    self._failures.append(event)
                self._open.pop(event.resource, None)
                if event.status.endswith("_IN_PROGRESS"):
                    self._open[event.resource] = event
                self._report(event)
            silence = 0.0 if new else silence + PAUSE
            if silence >= SILENCE:
                silence = 0.0
                noting(self._report)(self._waits())
            if not stack["StackStatus"].endswith("_IN_PROGRESS"):
                return str(stack["StackStatus"])
            self._pause(PAUSE)

    def _waits(self) -> str:
        """Say what CloudFormation waits for, and what may hold it up."""
        kinds = {event.kind: event.status for event in self._open.values()}
        what = ", ".join(f"{name} ({one.status})" for name, one in self._open.items())
        why = [words for kind, words in HOLDS if kind in kinds]
        return (
            f"nothing has happened for {duration(SILENCE)}: CloudFormation is waiting for "
            f"{what or 'the stack'}. {' '.join(why)}You can press Ctrl-C: CloudFormation "
            "continues, and the same command follows it again"
        )

    def failure(self, what: str) -> StackError:
        """Make the error that gives CloudFormation's own reasons."""
        return StackError("\n".join([what, *reasons(self._failures)]))

    def failed(self) -> list[str]:
        """Name the resources that something went wrong with, by their logical ids."""
        return [event.resource for event in self._failures]

    def _new_events(self) -> list[StackEvent]:
        found: list[StackEvent] = []
        with translated():
            pages = self._client.get_paginator("describe_stack_events").paginate(StackName=self._id)
            for page in pages:  # the newest first
                events = [_event(one) for one in page["StackEvents"]]
                new = [event for event in events if event.id not in self._seen]
                found += new
                if len(new) < len(events):
                    break
        self._seen.update(event.id for event in found)
        return found[::-1]


def _event(said: Mapping[str, Any]) -> StackEvent:
    return StackEvent(
        said["EventId"],
        said["LogicalResourceId"],
        said.get("ResourceType", ""),
        said.get("ResourceStatus", ""),
        said.get("ResourceStatusReason", ""),
    )


def reasons(failures: list[StackEvent]) -> list[str]:
    """Give a line for each failure, with what to do below those that are known."""
    lines = []
    for event in failures:
        why = f": {event.reason}" if event.reason else ""
        lines.append(f"  {event.resource} ({event.kind}): {event.status}{why}")
        cures = [cure for words, cure in CURES if any(word in event.reason for word in words)]
        lines += [f"    → {cure}" for cure in cures[:1]]
    return lines


#: What CloudFormation's reasons mean, and what to do.
CURES = (
    (
        ("not authorized", "AccessDenied", "Access Denied", "UnauthorizedOperation"),
        "a permission is missing: `dask knot policy --operator` prints the ones you need",
    ),
    (
        ("already exists", "AlreadyExists", "AlreadyOwned"),
        "that name is taken: choose another with --name, --bucket or --repository, or use "
        "the existing bucket with --existing-bucket",
    ),
    (
        ("DependencyViolation", "dependent object", "has dependencies", "currently in use"),
        "network interfaces of jobs or instances still use it and disappear some minutes "
        "after the last job or instance: run `dask knot down` again then. Delete anything "
        "else that uses it first",
    ),
    (
        ("existing JobQueue relationship", "is being used by", "cannot be deleted because it"),
        "something outside the stack uses it: take it out of the other queue, or delete that queue",
    ),
    (
        ("LimitExceeded", "limit", "quota", "Quota"),
        "the account has reached a quota: ask for more under Service Quotas, or delete what "
        "you no longer use. If the quota is for VPCs, --vpc default needs no new one",
    ),
    (
        ("not empty", "BucketNotEmpty"),
        "something wrote to it in the meantime: run `dask knot down` again",
    ),
    (
        ("InvalidKeyPair", "key pair"),
        "there is no such key pair in this region: `aws ec2 describe-key-pairs` lists them",
    ),
    (
        ("InvalidAMIID", "image id"),
        "there is no such AMI in this region, or it isn't shared with this account",
    ),
    (
        ("ExpiredToken", "security token"),
        "the credentials expired in the meantime: sign in and run the same command again",
    ),
)
