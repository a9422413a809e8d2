"""The page about Jupyter: its factory makes a cluster, and its table names the plots that exist."""

from __future__ import annotations

import asyncio
import importlib
import re
from pathlib import Path
from typing import Any

import dask
import yaml
from distributed import Client

from dask_knot.dashboard.parts import ALONE_PARTS


def page(project: Path) -> str:
    return (project / "docs/jupyter.md").read_text()


def factory(project: Path) -> dict[str, Any]:
    """Read the block that readers copy."""
    [block] = re.findall(r"```yaml\n(.*?)```", page(project), re.DOTALL)
    config: dict[str, Any] = yaml.safe_load(block)
    return config


def test_the_file_to_download_is_the_block_on_the_page(project: Path) -> None:
    copied = yaml.safe_load((project / "docs/jupyter-factory.yaml").read_text())
    assert copied == factory(project)


def test_the_factory_makes_a_cluster_that_the_sidebar_scales(project: Path, tmp_path: Path) -> None:
    """It is called as dask-labextension does it."""

    async def use() -> None:
        module = importlib.import_module(dask.config.get("labextension.factory.module"))
        made = getattr(module, dask.config.get("labextension.factory.class"))
        given = dask.config.get("labextension.factory.kwargs")
        own = {"store": tmp_path, "dashboard_address": None}
        cluster = await made(
            *dask.config.get("labextension.factory.args"), **given, **own, asynchronous=True
        )
        try:
            assert len(cluster.scheduler_info["workers"]) == given["jobs"]
            await cluster.scale(2)
            assert len(cluster.scheduler_info["workers"]) == 2
            adaptive = cluster.adapt(minimum=0, maximum=3)  # isn't awaited there
            assert (adaptive.minimum, adaptive.maximum) == (0, 3)
            assert len(cluster.scheduler_info["workers"]) == 3
            async with Client(cluster, asynchronous=True) as client:
                assert await client.submit(sum, [1, 2]) == 3
        finally:
            await cluster.close()

    with dask.config.set(factory(project)):
        asyncio.run(use())


def test_the_table_names_each_plot(project: Path) -> None:
    named = re.findall(r"^\| \*\*Knot (\w+)\*\* \|", page(project), re.MULTILINE)
    assert sorted(named) == sorted(name.title() for name in ALONE_PARTS)
