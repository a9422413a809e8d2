"""What jobs did cost equals what one works out by hand, for recorded histories of jobs.

Each history is what Batch answered and what jobs left in manifests, replayed through the parts that
a session is made of; the sums beside it are written out. A share is the largest of the parts that a
job takes of a machine: of its vCPUs, memory and GPUs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from dask_knot.batch.jobs import StageJob
from dask_knot.batch.request import JobTemplate
from dask_knot.batch.service import JobService
from dask_knot.prices.bill import Bill
from dask_knot.prices.money import Money
from dask_knot.prices.tariff import Market
from dask_knot.run.machine import LOCAL, UNKNOWN, Machine
from dask_knot.run.names import TWIN, ShardId, StageId
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.session.engines import Engine
from dask_knot.session.spending import FRESH, Spending
from dask_knot.settings.settings import resolve
from tests.local.recording import RecordingBatch

from .histories import EPOCH, PRICES, REGION, History, Left, Recorded, on

#: Seconds of an hour, to divide by.
H = 3600
M5, SPOT = on("m5.large"), on("m5.large", "spot")


@dataclass
class StubEngine:
    """As much of an engine as tells where jobs run, and answers for them."""

    client: RecordingBatch
    settings: Any
    market: Market | None


class Replay:
    """A session's parts that add up money, in front of a recorded history."""

    def __init__(
        self,
        history: History,
        tmp_path: Path,
        region: str | None = REGION,
        kind: type[Run] = Run,
    ) -> None:
        self.history = history
        self.batch = RecordingBatch()
        template = JobTemplate("run", "queue", "image")
        service = self.service = JobService(self.batch, template, lambda stream, lines: ())
        market = None if region is None else Market(region, ("on-demand",))
        settings = resolve({"cores": 2} if region is None else {"cores": 1})
        self.now = EPOCH + history.now
        self.run = kind(Store(tmp_path), "run")
        engine = cast(Engine, StubEngine(self.batch, settings, market))
        self.spending = Spending(engine, service, self.run, lambda: PRICES, lambda: self.now)
        for number, job in enumerate(history.jobs):
            id = f"job-{number}"
            service.adopt(StageId(0, number), StageJob(id, len(job.children), job.resources))
            self._describe(id, job)
        for index, job in history.twins.items():
            shard, id = ShardId(StageId(0, 0), index), f"twin-{index}"
            service.twins.adopt(shard, StageJob(id, 1, job.resources))
            self._describe(id, job)
        self.spending.take([left.found() for left in history.left])

    def _describe(self, id: str, job: Recorded) -> None:
        self.batch.details |= {one["jobId"]: one for one in job.details(id)}

    def bill(self) -> Bill:
        """Add all up, and check that the parts of the bill are the whole."""
        bill = self.spending.bill()
        parts = sum(bill.tasks.values(), bill.idle)
        for whole in (bill.jobs, parts):
            assert whole.low == pytest.approx(bill.total.low - bill.store.low)
            assert whole.high == pytest.approx(bill.total.high - bill.store.high, nan_ok=True) or (
                math.isinf(whole.high)
            )
        return bill


def one_job(machine: Machine, seconds: float, job: Recorded | None = None, **left: Any) -> History:
    """Make the history of a job that ran one task all the time."""
    recorded = job or Recorded([[(0, seconds)]])
    return History([replace(recorded)], [Left(0, machine, [("inc", 0, seconds)], **left)])


def attempts_on_spot() -> History:
    """An array of three on Spot. Child 1 is reclaimed, and tried again on demand; both it and child
    0 began on one instance. Child 2 begins in another zone.
    """
    first = [(0, 600, "arn:i-1")]
    second = [(0, 200, "arn:i-1"), (300, 800, "arn:i-2")]
    third = [(0, 300, "arn:i-3")]
    return History(
        [Recorded([first, second, third])],
        [
            Left(0, SPOT, [("load", 60, 600)]),
            Left(1, on("r5.large"), [("load", 350, 600), ("fit", 600, 800)], attempt=2),
            Left(2, on("m5.large", "spot", "us-east-1b"), [("load", 0, 300)]),
        ],
    )


def lost_child() -> History:
    """An array of two, one of which fails and leaves nothing, on an instance of its own."""
    children = [[(0, 3600, "arn:i-1")], [(0, 1800, "arn:i-2")]]
    return History([Recorded(children)], [Left(0, M5, [("inc", 0, 3600)])])


def on_fargate(lifecycles: str, kind: str = "X86_64") -> dict[str, Any]:
    """Give what Batch tells of a job on Fargate."""
    environment = [{"name": "KNOT_LIFECYCLES", "value": lifecycles}]
    container = {"runtimePlatform": {"cpuArchitecture": kind}, "environment": environment}
    return {"platformCapabilities": ["FARGATE"], "container": container}


def fargate(lifecycle: str, kind: str = "x86_64") -> Machine:
    return Machine("ip", "fargate", "us-east-1a", lifecycle, kind)


#: A history, what it costs at least and at most, and how that is worked out.
HISTORIES: Mapping[str, tuple[History, float, float]] = {
    # 1 of 2 vCPUs (a half) of 0.096 for 600 s.
    "on demand": (one_job(M5, 600), 0.5 * 0.096 * 600 / H, 0.5 * 0.096 * 600 / H),
    # 1 of 2 vCPUs, but 6144 of 8192 MiB: three quarters, for an hour.
    "memory is the larger share": (
        one_job(M5, 3600, Recorded([[(0, 3600)]], memory=6144)),
        0.75 * 0.096,
        0.75 * 0.096,
    ),
    # Half a machine each: 0.036 (zone a) for 600 + 200 s, the second the lost attempt; 0.126 for
    # 500 s, on demand; 0.048 (zone b) for 300 s. Not from 0 to 800 s: between attempts none ran.
    "Spot, lost attempts, zones": (
        attempts_on_spot(),
        0.5 * (0.036 * 800 + 0.126 * 500 + 0.048 * 300) / H,
        0.5 * (0.036 * 800 + 0.126 * 500 + 0.048 * 300) / H,
    ),
    # A zone whose Spot price isn't known: from the lowest to the highest of those that are.
    "Spot in another zone": (
        one_job(on("m5.large", "spot", "us-east-1f"), 3600),
        0.5 * 0.036,
        0.5 * 0.048,
    ),
    # No Spot price of that type is known: at most that on demand, and not that.
    "Spot without a price": (one_job(on("r5.large", "spot"), 3600), 0.0, 0.5 * 0.126),
    # Nobody could tell whether it was Spot: from its lowest price to that on demand.
    "lifecycle unknown": (one_job(on("m5.large", ""), 3600), 0.5 * 0.036, 0.5 * 0.096),
    # 0.5 vCPU and 1 GB, 20 s and 61.2 s: a minute and 62 s.
    "Fargate": (
        History(
            [
                Recorded(
                    [[(0, 20)], [(0, 61.2)]], vcpus=0.5, memory=1024, more=on_fargate("fargate")
                )
            ],
            [
                Left(0, fargate("fargate"), [("inc", 5, 20)]),
                Left(1, fargate("fargate"), [("inc", 5, 61)]),
            ],
        ),
        (0.5 * 0.04 + 1 * 0.0045) * (60 + 62) / H,
        (0.5 * 0.04 + 1 * 0.0045) * (60 + 62) / H,
    ),
    # 1 vCPU and 3000 MiB aren't a step of Fargate: 3072 are. The first attempt left nothing.
    "Fargate Spot, a step, a lost attempt": (
        History(
            [Recorded([[(0, 100), (200, 500)]], memory=3000, more=on_fargate("fargate-spot"))],
            [Left(0, fargate("fargate-spot"), [("inc", 200, 500)], attempt=2)],
        ),
        (0.012 + 3 * 0.0015) * 400 / H,
        (0.012 + 3 * 0.0015) * 400 / H,
    ),
    # A queue with both kinds of Fargate: it was the one or the other. 2 vCPUs and 4 GB, an hour.
    "Fargate, perhaps Spot": (
        History(
            [
                Recorded(
                    [[(0, 3600)]],
                    vcpus=2,
                    memory=4096,
                    more=on_fargate("fargate fargate-spot"),
                )
            ],
            [Left(0, fargate(""), [("inc", 0, 3600)])],
        ),
        2 * 0.012 + 4 * 0.0015,
        2 * 0.04 + 4 * 0.0045,
    ),
    # Graviton: 4096 of 8192 MiB for an hour on a machine, and 1 vCPU and 2 GB on Fargate.
    "ARM": (
        History(
            [
                Recorded([[(0, 3600)]], memory=4096),
                Recorded([[(0, 3600)]], more=on_fargate("fargate", "ARM64")),
            ],
            [
                Left(0, on("c7g.xlarge"), [("inc", 0, 3600)]),
                Left(0, fargate("fargate", "arm64"), [("inc", 0, 3600)], stage=1),
            ],
        ),
        0.5 * 0.144 + 0.032 + 2 * 0.0036,
        0.5 * 0.144 + 0.032 + 2 * 0.0036,
    ),
    # Another region has another price: that of the machine's zone counts, not of the stack.
    "another region": (
        one_job(on("m5.large", zone="eu-west-1c"), 3600),
        0.5 * 0.108,
        0.5 * 0.108,
    ),
    # 2 of 8 vCPUs, but the only GPU.
    "GPU": (
        one_job(on("g4dn.2xlarge"), 3600, Recorded([[(0, 3600)]], vcpus=2, gpus=1)),
        0.75,
        0.75,
    ),
    # Of a child that left nothing nobody knows the machine: half of 0.096 for an hour at least.
    "an array with a lost child": (lost_child(), 0.5 * 0.096, math.inf),
    # No price of the type, of the region, or of a zone far from any region: unknown, not nothing.
    "a type without a price": (one_job(on("x9.large"), 3600), 0.0, math.inf),
    "a region without prices": (one_job(on("m5.large", zone="mars-north-1a"), 3600), 0.0, math.inf),
    "a local zone": (one_job(on("m5.large", zone="us-east-1-bos-1a"), 3600), 0.0, math.inf),
    "reserved capacity": (one_job(on("m5.large", "capacity-block"), 3600), 0.0, math.inf),
    "metadata out of reach": (one_job(Machine("ip"), 3600), 0.0, math.inf),
    # Batch has forgotten it: from the start of its program, 60 s, to the end of its last task, 660.
    "forgotten by Batch": (
        History(
            [Recorded([[(0, 700)]], is_forgotten=True)],
            [Left(0, M5, [("inc", 100, 660)], started=60)],
        ),
        0.5 * 0.096 * 600 / H,
        0.5 * 0.096 * 600 / H,
    ),
    # The same on Fargate, where 3 vCPUs and 3000 MiB are 4 and 8 GiB.
    "Fargate, forgotten by Batch": (
        History(
            [Recorded([[(0, 700)]], vcpus=3, memory=3000, is_forgotten=True)],
            [Left(0, fargate("fargate", "arm64"), [("inc", 100, 660)], started=60)],
        ),
        (4 * 0.032 + 8 * 0.0036) * 600 / H,
        (4 * 0.032 + 8 * 0.0036) * 600 / H,
    ),
    # The child for 1000 s, and its twin for 300 s on Spot.
    "a twin": (
        History(
            [Recorded([[(0, 1000)]])],
            [
                Left(0, M5, [("inc", 0, 200)], is_final=False),
                Left(0, SPOT, [("inc", 700, 990)], attempt=TWIN + 1),
            ],
            twins={0: Recorded([[(700, 1000)]])},
        ),
        0.5 * (0.096 * 1000 + 0.036 * 300) / H,
        0.5 * (0.096 * 1000 + 0.036 * 300) / H,
    ),
    # It failed without ever having had a container; another one failed after 100 s.
    "failures": (
        History(
            [
                Recorded([[(None, 50)]], status="FAILED"),
                Recorded([[(0, 100)]], status="FAILED"),
            ],
            [Left(0, M5, [("inc", 10, 90)], stage=1, is_final=False)],
        ),
        0.5 * 0.096 * 100 / H,
        0.5 * 0.096 * 100 / H,
    ),
    # Killed for its memory after 300 s in half a machine; alone with twice the memory, and again:
    # 8192 of 8192 MiB is all of one for 200 s, and then half of an m5.xlarge for 400 s.
    "out of memory, again with more": (
        History(
            [
                Recorded([[(0, 300, "arn:i-1")], [(0, 100, "arn:i-1")]], memory=4096),
                Recorded([[(400, 600, "arn:i-1")]], memory=8192, status="FAILED"),
                Recorded([[(700, 1100)]], memory=8192),
            ],
            [
                Left(1, M5, [("inc", 0, 100)]),
                Left(0, on("m5.xlarge"), [("inc", 700, 1100)], stage=2, started=700),
            ],
        ),
        (0.5 * 0.096 * 400 + 0.096 * 200 + 0.5 * 0.192 * 400) / H,
        (0.5 * 0.096 * 400 + 0.096 * 200 + 0.5 * 0.192 * 400) / H,
    ),
    # Nobody ever had a machine for it.
    "cancelled while it waited": (History([Recorded([[], []], status="FAILED")], []), 0.0, 0.0),
    # Three of one array, on Spot and on ARM: 1 of 4 vCPUs for 30 s; the second lost after 10 s in a
    # zone, and done on demand; the third in a zone of no known price.
    "ARM on Spot, less than a minute": (
        History(
            [Recorded([[(0, 30)], [(0, 10, "arn:i-2"), (20, 50)], [(0, 30)]])],
            [
                Left(0, on("c7g.xlarge", "spot"), [("inc", 1, 30)]),
                Left(1, on("c7g.xlarge", "spot"), [], is_final=False),
                Left(1, on("c7g.xlarge", zone="us-east-1b"), [("inc", 21, 50)], attempt=2),
                Left(2, on("c7g.xlarge", "spot", "us-east-1c"), [("inc", 1, 30)]),
            ],
        ),
        0.25 * (0.06 * 30 + 0.06 * 10 + 0.144 * 30 + 0.06 * 30) / H,
        0.25 * (0.06 * 30 + 0.06 * 10 + 0.144 * 30 + 0.06 * 30) / H,
    ),
    # It runs since 4000 s, now it is 10000 s; Batch lists the attempt that ended only.
    "running": (
        History(
            [
                Recorded(
                    [[(0, 1000)]],
                    status="RUNNING",
                    more={"startedAt": (EPOCH + 4000) * 1000},
                )
            ],
            [
                Left(0, M5, [("inc", 0, 900)], is_final=False),
                Left(0, M5, [("inc", 4100, 5000)], attempt=2, is_final=False),
            ],
        ),
        0.5 * 0.096 * (1000 + 6000) / H,
        0.5 * 0.096 * (1000 + 6000) / H,
    ),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_jobs_did_cost_what_one_works_out_by_hand(name: str, tmp_path: Path) -> None:
    history, low, high = HISTORIES[name]
    total = Replay(history, tmp_path).bill().total
    assert total.low == pytest.approx(low, rel=1e-6)
    assert total.high == pytest.approx(high, rel=1e-6)


def test_a_bill_tells_stages_prefixes_and_idle_time_apart(tmp_path: Path) -> None:
    bill = Replay(attempts_on_spot(), tmp_path).bill()
    # Tasks ran for 540 of 600 s, none of 200 s, 450 of 500 s, 300 of 300 s.
    assert bill.attempts == 4
    assert bill.seconds == 600 + 200 + 500 + 300
    assert bill.vcpu_hours == pytest.approx(1600 / H)
    assert bill.idle_seconds == pytest.approx(60 + 200 + 50)
    assert bill.idle.low == pytest.approx(0.5 * (0.036 * 260 + 0.126 * 50) / H)
    load = 0.5 * (0.036 * 540 + 0.126 * 250 + 0.048 * 300) / H
    assert bill.tasks["load"].low == pytest.approx(load)
    assert bill.tasks["fit"].low == pytest.approx(0.5 * 0.126 * 200 / H)
    assert bill.task_seconds == pytest.approx({"load": 540 + 250 + 300, "fit": 200})
    assert bill.stages == {str(StageId(0, 0)): bill.total}


def test_what_is_not_known_is_said_with_its_hours(tmp_path: Path) -> None:
    bill = Replay(lost_child(), tmp_path).bill()
    ((why, hours),) = bill.unknown.items()
    assert "isn't known" in why
    assert hours == pytest.approx(0.5)
    assert bill.known == Money(0.5 * 0.096)
    assert str(bill.total) == "at least 0.048 USD"
    assert "0.5 vCPU-hours on machines whose type isn't known" in str(bill)
    far = Replay(one_job(on("m5.large", zone="mars-north-1a"), 3600), tmp_path).bill()
    assert "m5.large (on-demand) in mars-north-1a: its price isn't known here" in str(far)
    assert str(far.total) == "unknown"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Spot without a price", "its Spot price isn't known; it is at most the on-demand price"),
        ("lifecycle unknown", "whether it was Spot isn't known"),
        ("Fargate", "image downloads and disks larger than 20 GiB aren't included"),
        ("forgotten by Batch", "times of 1 attempt are taken from manifests"),
    ],
)
def test_what_is_not_exact_is_said(name: str, words: str, tmp_path: Path) -> None:
    assert words in str(Replay(HISTORIES[name][0], tmp_path).bill())


def test_jobs_of_this_machine_cost_nothing(tmp_path: Path) -> None:
    history = lost_child()
    local = [replace(left, machine=Machine("here", lifecycle=LOCAL)) for left in history.left]
    replay = Replay(replace(history, left=local), tmp_path, region=None)
    bill = replay.bill()
    assert bill.total == Money(0)
    assert bill.vcpu_hours == pytest.approx(1.5)
    assert not bill.unknown
    assert "0 USD: this machine" in bill.notes
    assert replay.spending.words() == ""
    assert replay.spending.stages() == {}


def test_batch_is_asked_once_for_what_has_ended(tmp_path: Path) -> None:
    children = [[(0, 60)] for _ in range(250)]
    replay = Replay(History([Recorded(children)], []), tmp_path)
    assert replay.bill().attempts == 250
    assert len(replay.batch.requests("DescribeJobs")) == 3, "a hundred each"
    replay.batch.details.clear()
    assert replay.bill().attempts == 250, "Batch may have forgotten them"
    assert len(replay.batch.requests("DescribeJobs")) == 3


def test_what_was_spent_so_far_asks_nobody(tmp_path: Path) -> None:
    replay = Replay(attempts_on_spot(), tmp_path)
    spending = replay.spending
    # From the start of programs (0 s) to the ends of tasks: 600 s, 800 s, 300 s.
    expected = 0.5 * (0.036 * 600 + 0.126 * 800 + 0.048 * 300) / H
    assert spending.spent().low == pytest.approx(expected)
    assert replay.batch.calls == []
    assert spending.words() == str(spending.spent())
    assert spending.stages()[str(StageId(0, 0))].low == pytest.approx(expected)
    exact = replay.bill().total
    replay.now += FRESH
    spending.take([Left(0, SPOT, [], attempt=1).found()])
    assert spending.spent().low == pytest.approx(exact.low), "it is known meanwhile"


def test_a_budget_counts_unknown_machines_as_those_that_there_may_be(tmp_path: Path) -> None:
    # Half an hour of 1 vCPU on m5.large, an hour where nobody knows.
    jobs = [Recorded([[(0, 1800)]]), Recorded([[(0, 3600)]])]
    left = [
        Left(0, M5, [("inc", 0, 1800)]),
        Left(0, Machine("ip"), [("inc", 0, 3600)], stage=1),
    ]
    market = Market(REGION, ("on-demand",), types=("m5.large", "r5.large"))
    replay = Replay(History(jobs, left), tmp_path)
    known = 0.5 * 0.096 * 0.5
    assert replay.spending.so_far().known == Money(known)
    replay.spending._market = market
    spent = replay.spending.spent()
    # The larger share of each is its vCPUs: jobs of this session have 1, and 4 GiB at most.
    assert spent.low > known
    assert spent.high >= known + 0.5 * 0.126
    replay.spending._market = Market("mars", ("on-demand",))
    assert replay.spending.spent() == Money(known), "nobody knows prices there either"


def test_it_is_added_up_once_a_second_at_most(tmp_path: Path) -> None:
    replay = Replay(one_job(M5, 600), tmp_path)
    first = replay.spending.so_far()
    more = Left(0, M5, [("inc", 600, 700)], attempt=2, started=600).found()
    replay.spending.take([more])
    assert replay.spending.so_far() is first
    replay.now += FRESH
    assert replay.spending.spent().low == pytest.approx(0.5 * 0.096 * 700 / H)


def test_jobs_that_batch_forgets_stay_on_the_bill_of_a_long_session(tmp_path: Path) -> None:
    replay = Replay(one_job(M5, 600), tmp_path)
    replay.service._submitted.prune(0, ())
    assert not replay.service.jobs
    assert replay.bill().total.low == pytest.approx(0.5 * 0.096 * 600 / H)


def test_an_adopted_job_of_unknown_size_has_no_price(tmp_path: Path) -> None:
    job = Recorded([[(0, 600)]], vcpus=0, memory=0, is_forgotten=True)
    bill = Replay(one_job(M5, 600, job), tmp_path).bill()
    assert bill.total.is_unknown
    assert UNKNOWN.type == ""


class RunInS3(Run):
    """A run that says that it is in S3."""

    @property
    def store_url(self) -> str:
        return "s3://bucket/knot"


def test_requests_to_s3_are_counted_by_jobs_and_client(tmp_path: Path) -> None:
    history = one_job(M5, 600, requests={"get": 7, "put": 3, "list": 1, "delete": 9})
    assert Replay(history, tmp_path).bill().store == Money(0), "a folder costs nothing"
    replay = Replay(history, tmp_path, kind=RunInS3)
    replay.run.write_pack(StageId(0, 0), [])
    # Ours: one put. Deletions are free; a listing costs what a write does.
    store = replay.bill().store
    assert store.low == pytest.approx((3 + 1 + 1) * 0.000005 + 7 * 0.0000004)
    assert store.is_exact
    assert "requests to the store" in str(replay.bill())
    elsewhere = Replay(history, tmp_path, region="mars-north-1", kind=RunInS3).spending.bill()
    assert elsewhere.store.is_unknown
    assert elsewhere.known == elsewhere.jobs, "the zone of the machine tells its region"
    assert "what requests to S3 cost in mars-north-1 isn't known here" in elsewhere.notes


def test_a_bill_prints_as_a_table(tmp_path: Path) -> None:
    bill = Replay(lost_child(), tmp_path).bill()
    text = str(bill)
    assert repr(bill) == text
    names = [line.split("  ")[0] for line in text.splitlines() if line[0] != " "]
    assert names == ["total", "jobs", "stage 0.0", "unknown"]
    assert "(2 attempts, 5,400 s, 1.5 vCPU-hours)" in text
    assert "<th>&emsp;start-up and idle</th>" in bill._repr_html_()
