"""The log of a build in the account: its lines as they come, and what part of the build they tell.

CloudWatch gets them in portions, some seconds late; the last ones may come after the build's end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dask_knot.aws.buildscript import BUILDING, DONE, PUSHING
from dask_knot.aws.session import code_of
from dask_knot.errors import AwsError

#: What CodeBuild says of itself.
CHATTER = "[Container] "
#: So many lines are kept of a part of a build, for when it fails.
KEPT = 15
#: So often the log of a build that has ended must have nothing new before it is all there.
QUIET = 3

Build = Mapping[str, Any]
Ask = Callable[[], Build]


def is_running(build: Build) -> bool:
    """Tell whether a build waits or runs."""
    return bool(build["buildStatus"] == "IN_PROGRESS")


class RemoteLog:
    """The log of one build.

    Parameters
    ----------
    logs : Any
        A client of CloudWatch's logs, whose exceptions are ours.
    wait : callable
        Called between two looks.
    """

    def __init__(self, logs: Any, wait: Callable[[], object]) -> None:
        self._logs, self._wait = logs, wait
        self._token: str | None = None
        self.part = ""
        self.tail = deque[str](maxlen=KEPT)

    def follow(self, ask: Ask) -> Iterator[str]:
        """Give the lines of the build's own part, until the build has ended.

        Parameters
        ----------
        ask : callable
            Tells how the build is.

        Yields
        ------
        str
            What Docker prints while it builds. What is printed before and after it is kept in
            `tail`.
        """
        quiet = 0
        while True:
            build = ask()
            found = self._read(build)
            for line in found:
                if (told := self._tell(line)) is not None:
                    yield told
            if not is_running(build):
                quiet = 0 if found else quiet + 1
                if self.part == DONE or quiet >= QUIET:
                    return
            self._wait()

    def _read(self, build: Build) -> list[str]:
        """Read what is new."""
        place = build.get("logs", {})
        if not place.get("groupName") or not place.get("streamName"):
            return []  # it has no machine yet
        since = {"nextToken": self._token} if self._token else {}
        lines: list[str] = []
        while True:
            try:
                page = self._logs.get_log_events(
                    logGroupName=place["groupName"],
                    logStreamName=place["streamName"],
                    startFromHead=True,
                    **since,
                )
            except AwsError as error:
                cause = error.__cause__
                if isinstance(cause, Exception) and code_of(cause) == "ResourceNotFoundException":
                    return lines  # it has printed nothing yet
                raise
            for event in page["events"]:
                lines += str(event["message"]).splitlines()
            if page["nextForwardToken"] == self._token:
                return lines
            self._token = page["nextForwardToken"]
            since = {"nextToken": self._token}

    def _tell(self, line: str) -> str | None:
        """Look whose line it is: give it if it is of Docker's build."""
        if line.startswith(CHATTER) or not line.strip():
            return None
        if line in (BUILDING, PUSHING, DONE):
            self.part = line
            self.tail.clear()
            return None
        self.tail.append(line.rstrip())
        return line if self.part == BUILDING else None
