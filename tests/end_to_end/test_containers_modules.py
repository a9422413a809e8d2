"""Modules of the user's own in containers: nobody says a word of them, and no image has them."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from dask_knot import Knot, KnotCluster
from tests.end_to_end.containers import SMALL, account, machine, open_aws, settings
from tests.rig.machine import Rig

__all__ = ["account", "machine", "open_aws", "settings"]

pytestmark = pytest.mark.timeout(300)

INIT = "from .things import Thing, price\n"
THINGS = """\
from pathlib import Path
FACTOR = 1
class Thing:
    def __init__(self, count): self.count = count
def price(thing):
    from knot_lazily import doubled
    assert isinstance(thing, Thing)
    table = Path(__file__).parent / "data" / "price.txt"
    return Thing(doubled(thing.count) * FACTOR * int(table.read_text()))
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give a package in the folder of a script."""
    (tmp_path / "knot_shop" / "data").mkdir(parents=True)
    (tmp_path / "knot_shop" / "__init__.py").write_text(INIT)
    (tmp_path / "knot_shop" / "things.py").write_text(THINGS)
    (tmp_path / "knot_shop" / "data" / "price.txt").write_text("5")
    (tmp_path / "knot_lazily.py").write_text("def doubled(x): return 2 * x\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("knot_shop")
    for name in [name for name in sys.modules if name.startswith(("knot_shop", "knot_lazily"))]:
        del sys.modules[name]


def edit(shop: Any) -> None:
    """Edit code and data of the package, and load it again as a notebook does."""
    folder = Path(shop.__file__).parent
    (folder / "things.py").write_text(THINGS.replace("FACTOR = 1", "FACTOR = 100"))
    (folder / "data" / "price.txt").write_text("7")
    importlib.reload(sys.modules["knot_shop.things"])
    importlib.reload(shop)


def image_of(cluster: KnotCluster) -> Any:
    script = json.loads(cluster.job_script())
    return script["RegisterJobDefinition"]["containerProperties"]["image"]


def test_a_package_beside_the_script_and_an_edit(
    open_aws: Callable[..., KnotCluster], shop: Any, machine: Rig
) -> None:
    cluster = open_aws()
    with Client(cluster) as client:
        image, before = image_of(cluster), machine.counts()
        first = client.submit(shop.price, shop.Thing(3)).result()
        assert type(first) is shop.Thing
        assert first.count == 3 * 2 * 5
        made = machine.counts() - before
        # One pack, and one bundle; of the job, the bundle beside what it reads of the pack.
        assert made["client s3 put"] == 2
        assert made["jobs s3 get"] <= 3
        edit(shop)
        second = client.submit(shop.price, shop.Thing(3)).result()
        assert type(second) is shop.Thing
        assert second.count == 3 * 2 * 100 * 7
        assert image_of(cluster) == image


def test_a_knot_has_them_too(shop: Any, machine: Rig, job_image: str) -> None:
    with Knot("shop", shop.price, engine="docker", image=job_image, **SMALL) as knot:
        found = knot.map([shop.Thing(1), shop.Thing(2)]).result()
    assert [thing.count for thing in found] == [10, 20]
