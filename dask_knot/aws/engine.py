"""The engine "aws": jobs go to the queue of a stack, values to its bucket, logs to CloudWatch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from dask_knot.aws.clientconfig import QUICK
from dask_knot.aws.container import check_early, container_properties
from dask_knot.aws.images import ensure_image
from dask_knot.aws.logs import tail
from dask_knot.aws.muster import look
from dask_knot.aws.names import TAG
from dask_knot.aws.outputs import StackOutputs, read_outputs
from dask_knot.aws.prerequisites import check_bucket_region
from dask_knot.aws.session import AwsSession, open_aws_session
from dask_knot.batch.client import BatchClient
from dask_knot.batch.machines import Sight
from dask_knot.batch.queues import Description, describe_queue
from dask_knot.batch.request import EC2, FARGATE, MIB, JobTemplate
from dask_knot.errors import ConfigurationError, EngineError
from dask_knot.image.image import resolve_spec
from dask_knot.planning import Resources, fargate
from dask_knot.prices import pricelist as prices
from dask_knot.prices.pricelist import FARGATE_SPOT, ON_DEMAND, SPOT
from dask_knot.prices.tariff import Market
from dask_knot.run.address import VARIABLE
from dask_knot.run.store import Store
from dask_knot.settings.settings import AwsSettings, Settings

#: Jobs at once where no compute environment says how many vCPUs it may have.
JOBS = 64
#: How machines are paid for: by the type of a compute environment, and by the platform of a stack.
LIFECYCLES = {
    "EC2": ON_DEMAND,
    "SPOT": SPOT,
    "FARGATE": prices.FARGATE,
    "FARGATE_SPOT": FARGATE_SPOT,
}
PLATFORMS = {name.lower().replace("_", "-"): kind for name, kind in LIFECYCLES.items()}


class AwsEngine:
    """Jobs are containers in an AWS account.

    Opening costs two calls to Batch, which tell how many jobs may run at once and whether the queue
    takes any.

    Parameters
    ----------
    settings : Settings
        With those of engine "aws".
    session : AwsSession
        Credentials and region.
    outputs : StackOutputs
        What the stack says of itself.
    image : str
        The image of the jobs.
    environment : mapping of str to str
        Variables of all jobs, which those of the settings can replace.

    Raises
    ------
    EngineError
        If the queue isn't there or takes no jobs.
    AwsError
        If AWS refuses, or can't be reached.
    """

    def __init__(
        self,
        settings: Settings,
        session: AwsSession,
        outputs: StackOutputs,
        image: str,
        environment: Mapping[str, str],
    ) -> None:
        assert settings.aws is not None
        self._session = session
        self._outputs = outputs
        self.client: BatchClient = session.asking("batch")
        queue = settings.aws.queue or outputs.queue
        environments = _usable_environments(self.client, queue, session.region)
        platform = _platform(environments, outputs)
        sizes = _sizes(environments)
        jobs = max(1, sum(sizes) // settings.cores) if sizes else JOBS
        self.settings = replace(settings, jobs=settings.jobs or jobs)
        self._most_vcpus = float(max(sizes)) if sizes else math.inf
        self.market = market(environments, outputs, session.region)
        region = {"AWS_REGION": session.region, "AWS_DEFAULT_REGION": session.region}
        told = session.told(settings.store or outputs.store_url, kms_key=outputs.kms_key)
        self.template = JobTemplate(
            name=settings.name,
            queue=queue,
            image=image,
            environment={
                **region,
                # They have no boto3 that could find out.
                **({VARIABLE: told} if told else {}),
                # It decides their price, and they may not be able to find out.
                "KNOT_LIFECYCLES": " ".join(_lifecycles(environments)),
                **environment,
                **settings.environment,
            },
            attempts=settings.attempts,
            container=container_properties(settings.aws, outputs, platform),
            platform=platform,
            prefix=outputs.name,
            # The policy of users lets them end the jobs that have the tag of the stack.
            tags={**outputs.tags, **settings.aws.tags, TAG: outputs.name},
            share=_share(settings.aws),
        )

    @property
    def store_url(self) -> str:
        """The stack's bucket and prefix."""
        return self._outputs.store_url

    @property
    def is_here(self) -> bool:
        """Jobs run on machines of their own."""
        return False

    @property
    def jobs_stay(self) -> bool:
        """Jobs go on, whatever becomes of their client."""
        return True

    @property
    def largest(self) -> Resources:
        """The most that a compute environment may have; the memory of its instances isn't known."""
        if self.template.platform == FARGATE:
            vcpus = min(self._most_vcpus, fargate.LARGEST_VCPUS)
            return Resources(vcpus=vcpus, memory=fargate.most_memory(vcpus) * MIB, gpus=0)
        # No instance type has more GPUs than vCPUs.
        gpus = int(min(self._most_vcpus, 2**20))
        return Resources(vcpus=self._most_vcpus, memory=None, gpus=gpus)

    def open_store(self, url: str) -> Store:
        """Open a store in S3 with the credentials of the session.

        Raises
        ------
        ConfigurationError
            If it isn't in S3, where jobs find it, or the bucket is elsewhere or isn't there.
        """
        parts = urlsplit(url)
        if parts.scheme != "s3":
            raise ConfigurationError(
                f"store={url!r} can't be reached by jobs on AWS: use s3://BUCKET/PREFIX"
            )
        check_bucket_region(self._session.client("s3"), parts.netloc, self._session.region)
        key = self._outputs.kms_key or ""
        return Store(url, kms_key=key, **self._session.store_options(url))

    def tail(self, log_stream: str, lines: int) -> Sequence[str]:
        """Give the last lines of a job's log; that it can't be read is no error of the job."""
        return tail(self._session, self._outputs.log_group, log_stream, lines)

    def scout(self, environments: Sequence[Description]) -> Sight:
        """Look at the machines that should take jobs, and at their network."""
        # Without the patience of work: whoever watches jobs must not wait here.
        return look(AwsSession(self._session.boto, QUICK), self._outputs, environments)

    def resize(self, jobs: int) -> None:
        """Do nothing: Batch starts what its compute environments have room for."""

    def end_jobs(self) -> None:
        """Do nothing: Batch runs the jobs, and is asked to end them."""

    def end_command(self, job_id: str) -> str:
        """Give the command of AWS's own command line that ends a job."""
        profile = self._session.boto.profile_name
        place = "" if profile == "default" else f" --profile {profile}"
        return (
            f"aws batch terminate-job --region {self._session.region}{place} --job-id {job_id} "
            "--reason closed"
        )

    def close(self) -> None:
        """Close connections; jobs are terminated by whoever submitted them."""
        self._session.close()


def _usable_environments(client: BatchClient, queue: str, region: str) -> list[Description]:
    described, environments = describe_queue(client, queue)
    if described is None or described["status"] in ("DELETING", "DELETED"):
        raise EngineError(
            f"there is no job queue {queue!r} in {region}: run `dask knot up`, or set "
            "knot.aws.queue to the queue you mean"
        )
    if described["state"] == "DISABLED":
        raise EngineError(
            f"the job queue {queue!r} is DISABLED and accepts no jobs: enable it in the "
            "Batch console, or run `dask knot up` again"
        )
    return environments


def _sizes(environments: Sequence[Description]) -> list[int]:
    """Tell how many vCPUs compute environments may have, those that say so."""
    sizes = [one.get("computeResources", {}).get("maxvCpus") for one in environments]
    return [int(size) for size in sizes if size is not None]


def _platform(environments: Sequence[Description], outputs: StackOutputs) -> str:
    kinds = [str(one.get("computeResources", {}).get("type", "")) for one in environments]
    known = [kind for kind in kinds if kind]
    if known:
        return FARGATE if all(kind.startswith(FARGATE) for kind in known) else EC2
    return FARGATE if outputs.is_fargate else EC2


def _lifecycles(environments: Sequence[Description]) -> tuple[str, ...]:
    """Name the lifecycles of machines that a queue may use, as far as it says so."""
    kinds = (str(one.get("computeResources", {}).get("type", "")) for one in environments)
    return tuple(dict.fromkeys(LIFECYCLES[kind] for kind in kinds if kind in LIFECYCLES))


def market(environments: Sequence[Description], outputs: StackOutputs, region: str) -> Market:
    """Tell where jobs run, as far as it decides what they cost."""
    resources = [one.get("computeResources", {}) for one in environments]
    types = [str(name) for one in resources for name in one.get("instanceTypes", ())]
    return Market(
        region,
        _lifecycles(environments) or (PLATFORMS[outputs.platform],),
        outputs.architecture,
        tuple(dict.fromkeys(types)) or ("optimal",),
    )


def _share(aws: AwsSettings) -> dict[str, Any]:
    share: dict[str, Any] = {}
    if aws.share_identifier is not None:
        share["shareIdentifier"] = aws.share_identifier
    if aws.scheduling_priority is not None:
        share["schedulingPriorityOverride"] = aws.scheduling_priority
    return share


def open_aws(
    settings: Settings, environment: Mapping[str, str], report: Callable[[str], None]
) -> AwsEngine:
    """Find the stack that the settings name, and make sure of an image.

    Raises
    ------
    AwsError
        If AWS refuses, or can't be reached; StackError if there is no such stack.
    ImageError
        If no image is named, nor has been built, and none can be built here.
    EngineError
        If the queue takes no jobs.
    """
    assert settings.aws is not None
    session = open_aws_session(settings.aws.profile, settings.aws.region)
    outputs = read_outputs(session, settings.aws.stack)
    check_early(settings.aws, outputs, {**environment, **settings.environment})
    image = settings.aws.image or ensure_image(session, outputs, resolve_spec({}), report)
    session.close()
    return AwsEngine(settings, session.patient(), outputs, image, environment)
