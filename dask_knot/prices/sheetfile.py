"""The format of a file of prices, packaged or refreshed: pure. A file that is damaged is an error.

What is written first is the version of the format; a type is a list, for there are hundreds.
"""

from __future__ import annotations

import datetime
import gzip
import json
import math
import zlib
from collections.abc import Mapping
from typing import Any

from dask_knot.errors import PriceFileError
from dask_knot.prices.pricelist import MachineType, PriceSheet

FORMAT = 1


def packed(sheet: PriceSheet) -> bytes:
    """Write a sheet of prices: the same bytes for the same prices."""
    content = {
        "format": FORMAT,
        "date": sheet.date.isoformat(),
        "source": sheet.source,
        "types": {name: one[1:] for name, one in sheet.types.items()},
        "instances": sheet.instances,
        "spot": sheet.spot,
        "fargate": sheet.fargate,
        "s3": sheet.s3,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return gzip.compress(text.encode(), mtime=0)


def unpacked(data: bytes) -> PriceSheet:
    """Read a sheet of prices.

    Raises
    ------
    PriceFileError
        If it isn't one, or one of another version.
    """
    try:
        content = json.loads(gzip.decompress(data))
        if content["format"] != FORMAT:
            raise PriceFileError(f"it has format {content['format']!r}, not {FORMAT}")
        return PriceSheet(
            datetime.date.fromisoformat(content["date"]),
            _text(content["source"]),
            {name: _type(name, *one) for name, one in content["types"].items()},
            {region: _prices(known) for region, known in content["instances"].items()},
            {
                region: {name: _prices(zones) for name, zones in known.items()}
                for region, known in content["spot"].items()
            },
            {
                region: {kind: _rates(2, rates) for kind, rates in known.items()}
                for region, known in content["fargate"].items()
            },
            {region: _rates(3, rates) for region, rates in content["s3"].items()},
        )
    except (
        OSError,
        EOFError,
        zlib.error,
        ValueError,
        ArithmeticError,  # a number that no float holds
        RecursionError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        raise PriceFileError(f"it can't be read ({type(error).__name__}: {error})") from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _type(name: str, vcpus: int, memory: int, architecture: str, gpus: int = 0) -> MachineType:
    is_whole = all(type(number) is int for number in (vcpus, memory, gpus))
    if not is_whole or min(vcpus, memory, gpus + 1) < 1 or architecture not in ("amd64", "arm64"):
        raise ValueError(f"{name} has {vcpus} vCPUs, {memory} MiB, {gpus} GPUs, {architecture}")
    return MachineType(name, vcpus, memory, architecture, gpus)


def _prices(known: Mapping[str, Any]) -> dict[str, float]:
    return {name: _price(price) for name, price in known.items()}


def _rates(length: int, rates: Any) -> Any:
    if len(rates) != length:
        raise ValueError(f"{rates!r} should be {length} prices")
    return tuple([_price(price) for price in rates])


def _price(price: Any) -> float:
    # Nothing is free: 0.0 has meant "not known" in more than one list of prices.
    if isinstance(price, bool) or not isinstance(price, int | float) or not 0 < price < math.inf:
        raise ValueError(f"{price!r} is not a price")
    return float(price)
