"""Checks all that jobs in a stack need, one line each, with the cure of what is wrong."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import partial
from typing import Any, NamedTuple

from dask_knot.aws.buildquota import BUILD_QUOTAS, builds_at_once
from dask_knot.aws.images import image_versions, newest_image
from dask_knot.aws.network.review import review
from dask_knot.aws.outputs import StackOutputs, read_outputs
from dask_knot.aws.session import REFUSALS, AwsSession, translate
from dask_knot.aws.status import find_environment, find_queue, state_of
from dask_knot.batch.queues import describe_queue
from dask_knot.errors import ConfigurationError, KnotError
from dask_knot.plural import many
from dask_knot.run.versions import HERE, public


class Verdict(Enum):
    """The result of a check."""

    GOOD = "ok"
    UNSURE = "?"
    BAD = "wrong"


class Finding(NamedTuple):
    """One line: what was looked at, how it is, and what to do."""

    what: str
    verdict: Verdict
    text: str
    cure: str = ""


Examination = Callable[[AwsSession, StackOutputs], Finding]

#: Quotas of vCPUs that may run at once (fargate: in all), by platform and whether they have GPUs.
QUOTAS = {
    ("ec2", False): ("ec2", "L-1216C47A"),
    ("ec2", True): ("ec2", "L-DB2E81BA"),
    ("spot", False): ("ec2", "L-34B43A08"),
    ("spot", True): ("ec2", "L-3819A6DF"),
    ("fargate", False): ("fargate", "L-3032A538"),
    ("fargate-spot", False): ("fargate", "L-36FBB829"),
}


#: Where an error's message begins to say what to do.
_CURE = re.compile(r"[.:;] (?=(?:ask|check|choose|make|run|set|sign|try)\b)", re.IGNORECASE)
#: A region where it can be seen whether there are credentials, while none is chosen.
ANY_REGION = "us-east-1"


def open_and_examine(open_one: Callable[..., AwsSession], stack: str) -> Iterator[Finding]:
    """Check whether a session can be opened, then all that `examine` does.

    Parameters
    ----------
    open_one : callable
        Opens a session, in the ``region`` that it is given, else in that of the user.
    stack : str
        The stack's name.

    Yields
    ------
    Finding
        One for each check; nothing is checked that needs what is missing.
    """
    try:
        session = open_one()
    except ConfigurationError as error:
        yield Finding("region", Verdict.BAD, *_split(error))
        yield from _missing_credentials(open_one)
    except KnotError as error:
        yield Finding("credentials", Verdict.BAD, *_split(error))
    else:
        yield from examine(session, stack)


def _missing_credentials(open_one: Callable[..., AwsSession]) -> Iterator[Finding]:
    """Say what is wrong with the credentials even where there is no region to use them in."""
    try:
        open_one(region=ANY_REGION)
    except KnotError as error:
        yield Finding("credentials", Verdict.BAD, *_split(error))


def examine(session: AwsSession, stack: str) -> Iterator[Finding]:
    """Check credentials, region, stack, queue, image, quota, bucket and network, in this order.

    Parameters
    ----------
    session : AwsSession
        Credentials and region.
    stack : str
        The stack's name.

    Yields
    ------
    Finding
        One for each check, of the network one for each fault; those that need a stack are left
        out if there is none.
    """
    who = _guarded("credentials", partial(_credentials, session))
    yield who
    if who.verdict is Verdict.BAD:
        return
    yield Finding("region", Verdict.GOOD, session.region)
    try:
        outputs = read_outputs(session, stack)
    except KnotError as error:
        yield Finding("stack", Verdict.BAD, *_split(error))
        return
    yield Finding("stack", Verdict.GOOD, f"{stack} is {outputs.status}")
    for what, check in CHECKS.items():
        yield _guarded(what, partial(check, session, outputs))
    yield from _network(session, outputs)


def _guarded(what: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except (KnotError, *REFUSALS) as error:
        # Jobs need no quota to be told: not everybody may ask, and not every region answers.
        verdict = Verdict.UNSURE if what == "quota" else Verdict.BAD
        return Finding(what, verdict, *_split(translate(error)))


def _split(error: KnotError) -> tuple[str, str]:
    """Take what happened, and what to do, out of the message of an error."""
    text = " ".join(str(error).split())
    found = _CURE.search(text)
    return (text[: found.start()], text[found.end() :]) if found else (text, "")


def _credentials(session: AwsSession) -> Finding:
    return Finding("credentials", Verdict.GOOD, session.identity()["Arn"])


def _queue(session: AwsSession, outputs: StackOutputs) -> Finding:
    queue = find_queue(session.client("batch"), outputs)
    is_good = queue.get("state") == "ENABLED" and queue.get("status") == "VALID"
    if is_good:
        return Finding(
            "queue", Verdict.GOOD, f"{outputs.queue.rpartition('/')[2]} {state_of(queue)}"
        )
    cure = "run `dask knot up`, or enable the queue in the AWS console under Batch"
    return Finding("queue", Verdict.BAD, f"{outputs.queue} is {state_of(queue)}", cure)


def _environment(session: AwsSession, outputs: StackOutputs) -> Finding:
    what = "compute environment"
    batch = session.client("batch")
    environment = find_environment(batch, outputs)
    if environment is None:
        return Finding(what, Verdict.GOOD, "belongs to the existing queue")
    most = environment.get("computeResources", {}).get("maxvCpus")
    text = f"{outputs.platform}, {outputs.architecture}, at most {most} vCPUs: "
    text += state_of(environment)
    behind = [
        one
        for one in describe_queue(batch, outputs.queue)[1]
        if one["computeEnvironmentArn"] != outputs.compute_environment
    ]
    for one in behind:
        most = one.get("computeResources", {}).get("maxvCpus")
        text += f"; behind it on demand, at most {most} vCPUs: {state_of(one)}"
    if all(map(_is_usable, [environment, *behind])):
        return Finding(what, Verdict.GOOD, text)
    cure = (
        "the reason above is from AWS: fix it and run `dask knot up`, or run `dask knot "
        "down` and then `dask knot up`"
    )
    return Finding(what, Verdict.BAD, text, cure)


def _is_usable(described: Mapping[str, Any]) -> bool:
    return described.get("state") == "ENABLED" and described.get("status") == "VALID"


def _image(session: AwsSession, outputs: StackOutputs) -> Finding:
    ecr = session.client("ecr")
    image = newest_image(ecr, outputs)
    if image is None:
        cure = "run `dask knot image`, or name an image with knot.aws.image"
        return Finding("image", Verdict.BAD, f"{outputs.repository} has none", cure)
    tags = ", ".join(image.get("imageTags", ()))
    text = f"{tags}, {image.get('imageSizeInBytes', 0) / 2**20:.0f} MiB"
    there = image_versions(ecr, outputs, str(image["imageDigest"]))
    if not there:
        return Finding("image", Verdict.UNSURE, f"{text}, which doesn't record its versions")
    other = [
        name
        for name, version in there.items()
        if public(HERE.get(name, version)) != public(version)
    ]
    if not other:
        return Finding("image", Verdict.GOOD, f"{text}, with the same versions as here")
    named = [f"{name} {there[name]} (here {HERE[name] or 'none'})" for name in other]
    # No image for here may be needed: others may use this stack with other versions.
    cure = "run `dask knot image` for an image of the versions here"
    return Finding("image", Verdict.UNSURE, f"{text}, has {', '.join(named)}", cure)


def _quota(session: AwsSession, outputs: StackOutputs) -> Finding:
    key = (outputs.platform, outputs.has_gpus)
    if key not in QUOTAS:
        return Finding("quota", Verdict.UNSURE, f"not known for {outputs.platform}")
    service, code = QUOTAS[key]
    quotas = session.client("service-quotas")
    quota = quotas.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]
    allowed, wanted = quota["Value"], _most_vcpus(session, outputs)
    text = f"{allowed:g} vCPUs ({quota.get('QuotaName', code)})"
    if wanted is None or allowed >= wanted:
        return Finding("quota", Verdict.GOOD, text)
    cure = (
        f"jobs beyond this quota wait, although the stack allows {wanted} vCPUs: ask for "
        f"more under Service Quotas (quota {code}), or run `dask knot up --max-vcpus "
        f"{allowed:g}`"
    )
    verdict = Verdict.UNSURE if allowed else Verdict.BAD
    return Finding("quota", verdict, text, cure)


def _most_vcpus(session: AwsSession, outputs: StackOutputs) -> int | None:
    environment = find_environment(session.client("batch"), outputs) or {}
    most = environment.get("computeResources", {}).get("maxvCpus")
    return None if most is None else int(most)


def _bucket(session: AwsSession, outputs: StackOutputs) -> Finding:
    s3, key = session.client("s3"), f"{outputs.prefix}/doctor-{uuid.uuid4().hex}"
    s3.put_object(Bucket=outputs.bucket, Key=key, Body=b"dask_knot")
    try:
        s3.get_object(Bucket=outputs.bucket, Key=key)["Body"].read()
        s3.list_objects_v2(Bucket=outputs.bucket, Prefix=f"{outputs.prefix}/", MaxKeys=1)
    finally:
        s3.delete_object(Bucket=outputs.bucket, Key=key)
    return Finding("bucket", Verdict.GOOD, f"{outputs.store_url} can be written, read and listed")


def _network(session: AwsSession, outputs: StackOutputs) -> Iterator[Finding]:
    """Say what is wrong with the subnets of jobs, one line each."""
    what = "network"
    try:
        subnets, faults = review(session, outputs)
    except (KnotError, *REFUSALS) as error:
        text, cure = _split(translate(error))
        may = "this check needs the permissions of `dask knot policy --user --network`"
        yield Finding(what, Verdict.UNSURE, text, may if not cure else f"{cure}; {may}")
        return
    for fault in faults:
        yield Finding(
            what, Verdict.BAD if fault.is_sure else Verdict.UNSURE, fault.line, fault.cure
        )
    if not faults:
        yield Finding(what, Verdict.GOOD, f"{many('subnet', subnets)}, from which jobs reach AWS")


def _remote_builds(session: AwsSession, outputs: StackOutputs) -> Finding:
    what = "remote builds"
    if outputs.builder is None:
        cure = "images are built with Docker; `dask knot up --remote-build` lets AWS build them"
        return Finding(what, Verdict.GOOD, "this stack has none", cure)
    allowed = builds_at_once(session, outputs)
    text = f"{outputs.builder} builds images without Docker here (`dask knot image --remote`)"
    if allowed is None:
        return Finding(what, Verdict.GOOD, text)
    if allowed >= 1:
        return Finding(what, Verdict.GOOD, f"{text}, {allowed:g} at once in the account")
    cure = (
        "ask for more under Service Quotas, AWS CodeBuild, "
        f"'{BUILD_QUOTAS[outputs.architecture][1]}', or build with Docker"
    )
    why = f"this account isn't allowed any builds, which is usual for a new one ({text})"
    return Finding(what, Verdict.UNSURE, why, cure)


CHECKS: dict[str, Examination] = {
    "queue": _queue,
    "compute environment": _environment,
    "image": _image,
    "quota": _quota,
    "bucket": _bucket,
    "remote builds": _remote_builds,
}
