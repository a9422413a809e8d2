"""Builds an image in the account, with the stack's project of CodeBuild: no Docker engine here.

How it works
------------
What the image is made of goes into the stack's bucket, into a folder that is named by the image's
tag; the build deletes it as soon as it has it. The build pushes by itself: it goes on if this
process ends, and whoever asks for the same tag meanwhile finds a note with its id, and follows it.
Two who begin at the same moment build twice, and push the same.

Secrets of the build lie in an object of their own for the seconds until the machine has started,
encrypted as the bucket is, and are never in the build's variables, its log or a layer.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from dask_knot.aws import buildscript
from dask_knot.aws.buildlog import Build, RemoteLog, is_running
from dask_knot.aws.buildobjects import CONTEXT, SECRETS, BuildObjects, Workshop
from dask_knot.aws.buildscript import PUSHING
from dask_knot.aws.session import AwsSession, Pause, code_of, translated
from dask_knot.aws.template.builds import LONGEST, LONGEST_WAIT, SOURCE
from dask_knot.environment.problems import Report
from dask_knot.errors import ImageError, QuotaError, UnreachableError
from dask_knot.image import builder
from dask_knot.image.dockerfile import Recipe, dockerfile
from dask_knot.image.progress import follow_plain

#: Seconds between two looks at a build.
LOOK = 2.0
#: Seconds between two tries while the account runs as many builds as it may, and tries.
BUSY_PAUSE, BUSY_TRIES = 10.0, 60

WITHOUT_BUILDER = (
    "this stack can't build images: run `dask knot up` again (with --remote-build if you "
    "made it with --no-remote-build), or build with a Docker engine"
)
PHASES = {
    "QUEUED": "waiting for a CodeBuild machine",
    "PROVISIONING": "a CodeBuild machine is starting",
    "BUILD": "building",
}
CURES = {
    "TIMED_OUT": (
        f"a build may wait {LONGEST_WAIT} minutes and run for {LONGEST}: put fewer or "
        "smaller packages into the image, or start from a base image that has them (--base)"
    ),
    "STOPPED": "somebody stopped the build: run the same command again",
    "FAULT": "AWS itself failed: run the same command again",
    "FAILED": "run `dask knot doctor`, then the same command again",
}


@dataclass(frozen=True, slots=True)
class BuildOrder:
    """What is to be built.

    Attributes
    ----------
    recipe : Recipe
        What goes in.
    name : str
        The image, with its repository and tag.
    network : str or None
        The network of the build.
    """

    recipe: Recipe
    name: str
    network: str | None = None


def build_in_account(
    session: AwsSession,
    outputs: Workshop,
    order: BuildOrder,
    report: Report,
    pause: Pause = time.sleep,
) -> None:
    """Build an image in the account, and push it.

    Parameters
    ----------
    session : AwsSession
        Credentials and region.
    outputs : Workshop
        The stack.
    order : BuildOrder
        What is to be built.
    report : callable
        Told each step, and each line of the build.
    pause : callable
        Waits for so many seconds.

    Raises
    ------
    ImageError
        If the stack has no project for it, or a line of the Dockerfile fails: it is shown, with
        the end of what it printed.
    QuotaError
        If the account may not build.
    AwsError
        If AWS refuses, or can't be reached; a build that has begun goes on.
    """
    if outputs.builder is None:
        raise ImageError(WITHOUT_BUILDER)
    patient = session.patient()
    try:
        RemoteBuild(patient, outputs, order, report, pause).run()
    finally:
        patient.close()


class RemoteBuild:
    """One build: found or begun, followed to its end, ended by whoever began it.

    Parameters
    ----------
    session, outputs, order, report, pause
        See `build_in_account`.
    """

    def __init__(
        self,
        session: AwsSession,
        outputs: Workshop,
        order: BuildOrder,
        report: Report,
        pause: Pause,
    ) -> None:
        self._builds, self._logs = session.asking("codebuild"), session.asking("logs")
        self._outputs, self._order, self._pause = outputs, order, pause
        self._redact = order.recipe.secrets.redact
        self._report: Report = lambda line: report(self._redact(line))
        s3 = session.client("s3")
        self._objects = BuildObjects(s3, outputs, order.recipe.tag, self._report)
        self._phase = ""

    def run(self) -> None:
        """Build, or follow the build of somebody else."""
        build = self._others()
        is_ours = build is None
        if build is None:
            build = self._begin()
        else:
            self._report(f"{build['id']} is already building this image: following it")
        self._follow(build, is_ours)

    def _others(self) -> Build | None:
        """Find a build of the same tag that waits or runs."""
        id = self._objects.noted()
        if id is None:
            return None
        found = self._builds.batch_get_builds(ids=[id])["builds"]
        return found[0] if found and is_running(found[0]) else None

    def _begin(self) -> Build:
        """Upload what is needed, and start a build."""
        recipe = self._order.recipe
        self._objects.sweep()
        secrets = recipe.secrets.mounted()
        text = dockerfile(recipe, mount=bool(secrets))
        commands = buildscript.script(
            self._order.name, text, self._order.network, has_secrets=bool(secrets)
        )
        context = builder.context(recipe, mount=bool(secrets))
        try:
            self._objects.upload(CONTEXT, buildscript.source(commands, context))
            if secrets:
                self._objects.upload(SECRETS, buildscript.archive(secrets))
            build = self._start()
        except BaseException:
            self._objects.delete()
            raise
        try:
            self._objects.note(str(build["id"]))
        except KeyboardInterrupt:
            self._interrupted(str(build["id"]), is_ours=True)
            raise
        return build

    def _start(self) -> Build:
        source = self._objects.source
        request = {
            "projectName": self._outputs.builder,
            "environmentVariablesOverride": [
                {"name": SOURCE, "value": source, "type": "PLAINTEXT"}
            ],
            # Asked again after an answer that was lost, it is the same build.
            "idempotencyToken": source.rpartition("/")[2],
        }
        for _ in range(BUSY_TRIES):
            try:
                with translated():
                    build: Build = self._builds.start_build(**request)["build"]
            except Exception as error:
                _check_start(error, str(self._outputs.builder))
                self._report(
                    "the account is running as many builds as it's allowed: waiting for one "
                    "to finish"
                )
                self._pause(BUSY_PAUSE)
            else:
                self._report(
                    f"{build['id']} is building in your AWS account; this machine needs no Docker"
                )
                return build
        raise QuotaError(
            "for ten minutes the account was running as many builds as it's allowed: try "
            "again later, or ask for more in the AWS console under Service Quotas, AWS "
            "CodeBuild"
        )

    def _follow(self, build: Build, is_ours: bool) -> None:
        id, found = str(build["id"]), dict(build)
        log = RemoteLog(self._logs, lambda: self._pause(LOOK))

        def ask() -> Build:
            builds = self._builds.batch_get_builds(ids=[id])["builds"]
            found.update(builds[0] if builds else {"buildStatus": "STOPPED"})
            self._tell_phase(str(found.get("currentPhase", "")))
            return found

        try:
            follow_plain(log.follow(ask), self._report, self._redact)
        except ImageError as error:
            raise ImageError(self._redact(str(error))) from None
        except KeyboardInterrupt:
            self._interrupted(id, is_ours)
            raise
        except UnreachableError as error:
            raise UnreachableError(
                f"{error}. The build continues in the account: run the same command again to "
                "follow it"
            ) from error
        finally:
            if is_ours and not is_running(found):
                self._objects.delete()
        if found["buildStatus"] != "SUCCEEDED":
            raise ImageError(self._redact(_why(found, log)))

    def _tell_phase(self, phase: str) -> None:
        if phase != self._phase:
            self._phase = phase
            if phase in PHASES:
                self._report(PHASES[phase])

    def _interrupted(self, id: str, is_ours: bool) -> None:
        """End what this process has begun; what others have begun is theirs."""
        if not is_ours:
            self._report(f"{id} was started by somebody else and continues")
            return
        self._builds.stop_build(id=id)
        self._report(f"{id} is stopped")
        self._objects.delete()


def _check_start(error: Exception, project: str) -> None:
    """Raise what a refusal means, unless it is that other builds must end first."""
    cause = error.__cause__
    code = code_of(cause) if isinstance(cause, Exception) else ""
    if code == "ResourceNotFoundException":
        raise ImageError(
            f"the project {project} is gone: run `dask knot up --no-remote-build`, then `dask knot "
            "up --remote-build` to make it again"
        ) from error
    if code != "AccountLimitExceededException":
        raise error
    if "more than 0 builds" in str(error):
        raise QuotaError(
            "this account isn't allowed any CodeBuild builds, which is usual for a new "
            "account: ask for one in the AWS console under Service Quotas, AWS CodeBuild, "
            "'Concurrently running builds for Linux/Small environment' (ARM/Small for "
            "arm64), or build with a Docker engine"
        ) from error


def _why(build: Build, log: RemoteLog) -> str:
    """Say why a build failed, when it wasn't a line of the Dockerfile."""
    status = str(build["buildStatus"])
    reasons = [
        f"\n    {one['phaseType']}: {context.get('message') or context.get('statusCode')}"
        for one in build.get("phases", ())
        if one.get("phaseStatus") not in (None, "SUCCEEDED", "IN_PROGRESS")
        for context in one.get("contexts", ())
    ]
    printed = "".join(f"\n    {line}" for line in log.tail)
    what = "the image couldn't be pushed" if log.part == PUSHING else "the image can't be built"
    return (
        f"{what}: its build in the account ({build['id']}) ended with "
        f"{status}:{''.join(reasons)}{printed}\n{CURES.get(status, CURES['FAILED'])}"
    )
