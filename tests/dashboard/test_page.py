"""The Knot page and its parts, served below the prefix of a proxy such as JupyterHub's."""

from __future__ import annotations

import asyncio
import json
import re
from urllib.request import urlopen

import pytest
from distributed import Scheduler

from dask_knot.dashboard.overview import overview
from dask_knot.dashboard.page import add_page
from dask_knot.dashboard.parts import ALONE_PARTS, Look
from dask_knot.dashboard.shardtimes import ShardTimes
from dask_knot.tracking.snapshot import Snapshot

PREFIX = "/user/ada/proxy/8787"


def read(url: str) -> str:
    with urlopen(url, timeout=30) as answer:
        text: str = answer.read().decode()
    return text


async def pages_below(prefix: str) -> dict[str, str]:
    """Serve an empty page below a prefix, and read all that is there."""
    nothing = overview(Snapshot((), {}, 0, 0, {}), {}, 8, {})
    names = ["knot", "individual-plots.json", *(f"individual-knot-{name}" for name in ALONE_PARTS)]
    async with Scheduler(
        host="127.0.0.1", dashboard_address="127.0.0.1:0", dashboard=True, http_prefix=prefix
    ) as scheduler:
        add_page(scheduler, prefix, Look(lambda: nothing, ShardTimes()))
        root = f"http://127.0.0.1:{scheduler.http_server.port}{prefix}"
        texts = [await asyncio.to_thread(read, f"{root}/{name}") for name in names]
        return dict(zip(names, texts, strict=True))


@pytest.mark.parametrize("prefix", ["", PREFIX])
def test_all_is_below_the_prefix_of_a_proxy(prefix: str) -> None:
    pages = asyncio.run(pages_below(prefix))
    listed = json.loads(pages.pop("individual-plots.json"))
    assert "Individual Task Stream" in listed, "Dask's own plots are still there"
    for name in ALONE_PARTS:
        assert listed[f"Individual Knot {name.title()}"] == f"/individual-knot-{name}"
    for page, text in pages.items():
        assert "embed_document" in text, page
        absolute = re.findall(r'(?:href|src)="(/[^"]*)"', text)
        astray = [link for link in absolute if not (prefix and link.startswith(f"{prefix}/"))]
        assert astray == [], "a proxy that cuts its prefix off needs relative links"
    assert '<a href="individual-knot-jobs">Knot Jobs</a>' in pages["knot"]
