"""A job finds out where it runs, as far as anybody tells, and waits for nobody."""

from __future__ import annotations

import json
import platform
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dask_knot.job import machine
from dask_knot.job.machine import JobSite, look_up
from dask_knot.run.machine import LOCAL, Machine

TOKEN = "a token"
#: Where no kernel shows a firmware.
NOWHERE = Path("/dev/null")
INSTANCE = {
    "instance-type": "m5.large",
    "placement/availability-zone": "us-east-1b",
    "instance-life-cycle": "spot",
}


class Metadata(ThreadingHTTPServer):
    """What tells a container where it is: the ECS agent at ``/v4``, the instance at the rest."""

    def __init__(self) -> None:
        self.instance: dict[str, str] = dict(INSTANCE)
        self.task: object = None
        self.gives_tokens = self.wants_tokens = True
        self.gate = threading.Event()
        self.gate.set()
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Answers)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def environment(self, **more: str) -> dict[str, str]:
        """Give the variables of a container whose instance and agent this is."""
        own = {
            "AWS_BATCH_JOB_ID": "job",
            "AWS_BATCH_CE_NAME": "an environment",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{self.url}/",
        }
        if self.task is not None:
            own["ECS_CONTAINER_METADATA_URI_V4"] = f"{self.url}/v4/abc"
        return {**own, **more}


class Answers(BaseHTTPRequestHandler):
    server: Metadata

    def do_PUT(self) -> None:
        assert self.path == "/latest/api/token"
        assert int(self.headers["X-aws-ec2-metadata-token-ttl-seconds"]) > 0
        self._answer(TOKEN if self.server.gives_tokens else None)

    def do_GET(self) -> None:
        if self.path == "/v4/abc/task":
            task = self.server.task
            self._answer(task if isinstance(task, str) else json.dumps(task))
        elif self.server.wants_tokens and self.headers["X-aws-ec2-metadata-token"] != TOKEN:
            self._answer(None, 401)
        else:
            self._answer(self.server.instance.get(self.path.removeprefix("/latest/meta-data/")))

    def _answer(self, text: str | None, otherwise: int = 404) -> None:
        self.server.asked.append(self.path)
        self.server.gate.wait(20)
        self.send_response(otherwise if text is None else 200)
        self.end_headers()
        self.wfile.write((text or "").encode())

    def log_message(self, format: str, *arguments: object) -> None: ...


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    """Serve an instance's metadata."""
    with Metadata() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.gate.set()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("lifecycle", ["spot", "on-demand", "capacity-block"])
@pytest.mark.parametrize("has_tokens", [True, False], ids=["tokens", "none"])
def test_an_instance_says_what_it_is(metadata: Metadata, lifecycle: str, has_tokens: bool) -> None:
    metadata.gives_tokens = metadata.wants_tokens = has_tokens
    metadata.instance["instance-life-cycle"] = lifecycle
    assert look_up(metadata.environment(), NOWHERE) == Machine(
        "", "m5.large", "us-east-1b", lifecycle
    )


@pytest.fixture
def nitro(tmp_path: Path) -> Path:
    """Make a root of files, in which the kernel shows the firmware of an instance."""
    write_firmware(tmp_path, "Amazon EC2", "c7g.16xlarge")
    return tmp_path


def write_firmware(root: Path, vendor: str, name: str) -> None:
    folder = root / "sys/class/dmi/id"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sys_vendor").write_text(f"{vendor}\n")
    (folder / "product_name").write_text(f"{name}\n")


def test_an_instance_that_refuses_is_known_all_the_same(metadata: Metadata, nitro: Path) -> None:
    """So are those of `dask knot up`: the metadata are one hop too far for containers."""
    metadata.gives_tokens = False
    metadata.task = {"LaunchType": "EC2", "AvailabilityZone": "eu-west-3c"}
    known = Machine("", "c7g.16xlarge", "eu-west-3c", "spot")
    assert look_up(metadata.environment(KNOT_LIFECYCLES="spot"), nitro) == known
    either = metadata.environment(KNOT_LIFECYCLES="spot on-demand")
    assert look_up(either, nitro) == known._replace(lifecycle="")
    metadata.asked.clear()
    disabled = metadata.environment(AWS_EC2_METADATA_DISABLED="true", KNOT_LIFECYCLES="spot")
    assert look_up(disabled, nitro) == known
    assert metadata.asked == ["/v4/abc/task"]


def test_what_an_instance_says_is_believed_first(metadata: Metadata, nitro: Path) -> None:
    found = look_up(metadata.environment(KNOT_LIFECYCLES="on-demand"), nitro)
    assert found == Machine("", "m5.large", "us-east-1b", "spot")


@pytest.mark.parametrize(
    ("vendor", "name", "type"),
    [
        ("Amazon EC2", "u-6tb1.metal", "u-6tb1.metal"),
        ("Amazon EC2", "m7i-flex.large", "m7i-flex.large"),
        ("Xen", "HVM domU", ""),
        ("Amazon EC2", "Not Specified", ""),
        ("LENOVO", "t3.micro", ""),
        ("Amazon EC2", "", ""),
    ],
)
def test_only_firmware_of_ec2_is_believed(
    metadata: Metadata, tmp_path: Path, vendor: str, name: str, type: str
) -> None:
    write_firmware(tmp_path, vendor, name)
    closed = metadata.environment(AWS_EC2_METADATA_DISABLED="true")
    assert look_up(closed, tmp_path) == Machine(type=type)


@pytest.mark.parametrize(
    ("said", "lifecycle"),
    [
        ("fargate", "fargate"),
        ("fargate-spot", "fargate-spot"),
        ("fargate fargate-spot", ""),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_fargate_has_the_lifecycle_that_its_queue_has(
    metadata: Metadata, nitro: Path, said: str, lifecycle: str
) -> None:
    metadata.task = {"LaunchType": "FARGATE", "AvailabilityZone": "us-west-2a"}
    found = look_up(metadata.environment(KNOT_LIFECYCLES=said), nitro)
    assert found == Machine("", "fargate", "us-west-2a", lifecycle)
    assert metadata.asked == ["/v4/abc/task"], "there is no instance"
    metadata.task = None
    silent = metadata.environment(KNOT_LIFECYCLES=said, AWS_EXECUTION_ENV="AWS_ECS_FARGATE")
    assert look_up(silent, nitro) == found._replace(zone="")


@pytest.mark.parametrize("task", ["no json", "[1]", "null", "{}"])
def test_nonsense_of_the_agent_is_no_answer(metadata: Metadata, task: str) -> None:
    metadata.task = task
    assert look_up(metadata.environment(), NOWHERE).type == "m5.large"


def test_nobody_there_is_unknown(metadata: Metadata) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        nobody = f"http://127.0.0.1:{closed.server_port}"
    environment = {
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": nobody,
        "ECS_CONTAINER_METADATA_URI_V4": nobody,
    }
    assert look_up(environment, NOWHERE) == Machine()
    assert (
        look_up({**environment, "AWS_EC2_METADATA_SERVICE_ENDPOINT": "nonsense"}, NOWHERE)
        == Machine()
    )
    assert (
        look_up({**environment, "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://x:no"}, NOWHERE)
        == Machine()
    )


def test_an_answer_that_does_not_come_is_given_up(
    metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "PATIENCE", 0.05)
    metadata.gate.clear()
    start = time.monotonic()
    assert look_up(metadata.environment(), NOWHERE) == Machine()
    assert time.monotonic() - start < 5


def test_a_job_does_not_wait_for_the_answer(metadata: Metadata) -> None:
    metadata.gate.clear()
    before = time.time()
    where = JobSite(metadata.environment())
    assert before <= where.started <= time.time()
    assert where.machine.host == platform.node()
    assert where.machine.lifecycle == where.machine.type == ""
    metadata.gate.set()
    asking()
    assert where.machine.type == "m5.large"
    assert where.machine.host == platform.node()


def asking() -> None:
    """Wait until no thread asks any more."""
    for thread in threading.enumerate():
        if thread.name == "dask-knot-machine":
            thread.join(20)


@pytest.mark.parametrize(
    "environment", [{}, {"AWS_BATCH_JOB_ID": "job", "AWS_BATCH_CE_NAME": "local"}]
)
def test_a_job_on_this_machine_asks_nobody(
    metadata: Metadata, environment: Mapping[str, str]
) -> None:
    endpoint = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url}
    where = JobSite({**endpoint, **environment})
    asking()
    assert where.machine.lifecycle == LOCAL
    assert where.machine.architecture in ("x86_64", "arm64")
    assert metadata.asked == []


@pytest.mark.parametrize(
    ("zone", "region"),
    [
        ("us-east-1a", "us-east-1"),
        ("us-gov-west-1c", "us-gov-west-1"),
        ("us-west-2-lax-1a", "us-west-2-lax-1"),  # dearer: no region has its prices
        ("", ""),
    ],
)
def test_a_zone_is_in_a_region(zone: str, region: str) -> None:
    assert Machine(zone=zone).region == region
