"""Pytest plugin: Dask's tests compute through one cluster, and every outcome is written down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from distributed import utils_test

from tests.conformance import only_client
from tests.conformance.peers import PEERS, Peer
from tests.conformance.sample import sample

#: Marks of tests that ask for what isn't here, on any cluster.
ELSEWHERE = ("gpu", "network", "slow", "ipython", "memray")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--peer", choices=list(PEERS), default="knot")
    group.addoption("--every", type=int, default=1)
    group.addoption("--outcomes", type=Path)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Conformance(config), "conformance")


class Conformance:
    """The cluster of a session, and the file of its outcomes: one JSON object a line."""

    def __init__(self, config: pytest.Config) -> None:
        self.every: int = config.getoption("--every")
        self.outcomes: Path = config.getoption("--outcomes")
        self.peer = Peer(config.getoption("--peer"))
        #: Whether the last test failed, and may have a share in the failure of the next, or left
        #: something behind.
        self.is_stale = False
        only_client.replace(self.peer)
        # Distributed's tests get its fixtures from the conftest.py of its repository.
        config.pluginmanager.register(utils_test)

    def write(self, name: str, outcome: str, why: str = "") -> None:
        with self.outcomes.open("a") as file:
            file.write(json.dumps({"test": name, "outcome": outcome, "why": why}) + "\n")

    def seen(self) -> set[str]:
        """Return the tests that an earlier process has begun: it hung or died in the last one."""
        if not self.outcomes.exists():
            return set()
        return {json.loads(line)["test"] for line in self.outcomes.read_text().splitlines()}

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[Any]) -> None:
        names = [item.nodeid for item in items if only_client.is_wanted(item)]
        chosen = sample(names, self.every) - self.seen()
        left = [item for item in items if item.nodeid not in chosen]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item.nodeid in chosen]
        for item in items:
            for mark in ELSEWHERE:
                if mark in item.keywords:
                    item.add_marker(pytest.mark.skip(reason=f"is marked {mark}"))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.write(report.nodeid, "failed", str(report.longrepr))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self.write(item.nodeid, "begun")
        if self.is_stale:
            self.peer.close()
        self.is_stale = False
        if only_client.is_of_distributed(item):
            self.peer.stand_back()
        else:
            self.peer.lead()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Any:
        report = yield
        why = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        if hasattr(report, "wasxfail"):
            outcome = "xfailed" if report.skipped else "xpassed"
        else:
            outcome = report.outcome
        if outcome == "failed" or (
            report.when == "teardown" and only_client.leaves_something(item)
        ):
            self.is_stale = True
        if report.when == "call" or outcome != "passed":
            self.write(item.nodeid, outcome, "" if outcome == "passed" else why)
        return report

    def pytest_sessionfinish(self) -> None:
        self.peer.close()
