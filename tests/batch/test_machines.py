"""Why no machine takes jobs, and why containers never start: told by what can be seen."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dask_knot.batch.machines import CAUSES, Sight, words_of_machines, words_of_starting


def environment(kind: str = "EC2", **resources: Any) -> dict[str, Any]:
    return {"computeResources": {"type": kind, "maxvCpus": 256, "desiredvCpus": 16} | resources}


FAULT = "subnet-1: it has no way out (give it a route to a NAT gateway)"


@pytest.mark.parametrize(
    ("environments", "sight", "words"),
    [
        ([environment()], Sight(0, (FAULT,)), "none has joined the cluster.*Found here: subnet-1"),
        ([environment()], Sight(0), "none has joined.*was checked, and no fault"),
        ([environment()], Sight(None), "perhaps none has joined"),
        (
            [environment()],
            Sight(None, (), ("ecs:DescribeClusters is missing",)),
            "Not checked: ecs:DescribeClusters",
        ),
        ([environment()], Sight(3), "3 instances joined the cluster, but none can take these jobs"),
        (
            [environment(desiredvCpus=0)],
            Sight(0),
            "hasn't asked for any machines in 10 min: a vCPU quota",
        ),
        (
            [environment(desiredvCpus=0)],
            Sight(None, (), ("ecs:DescribeClusters is missing",)),
            "hasn't asked for any machines.*Not checked: ecs:DescribeClusters",
        ),
        ([environment("SPOT")], Sight(0), "MaxSpotInstanceCountExceeded"),
        ([environment("SPOT", desiredvCpus=0), environment()], Sight(0), "machines with 16 vCPUs"),
    ],
    ids=["seen", "no fault", "unknown", "unseen", "joined", "not asked", "neither", "spot", "two"],
)
def test_what_is_said_of_machines(environments: Any, sight: Sight, words: str) -> None:
    found = words_of_machines(environments, 600.0, sight)
    assert found is not None
    assert re.search(words, found), found


def test_all_four_usual_causes_are_told() -> None:
    found = words_of_machines([environment()], 600.0, Sight(0))
    assert found is not None
    assert len(CAUSES) == 4
    assert all(f"({number}) {cause}" in found for number, cause in enumerate(CAUSES, start=1))


@pytest.mark.parametrize("environments", [[], [environment("FARGATE")], [{}]])
def test_where_there_are_no_instances_none_are_spoken_of(environments: Any) -> None:
    assert words_of_machines(environments, 600.0, Sight(None)) is None
    found = words_of_machines(environments, 600.0, Sight(None, (FAULT,)))
    assert found == f"Found here: {FAULT}"


def test_what_is_said_of_containers_that_never_start() -> None:
    found = words_of_starting(1200.0, Sight(None, (FAULT,)))
    assert "have been starting for 20 min" in found
    assert FAULT in found
    assert "ECR" in words_of_starting(600.0, Sight())
