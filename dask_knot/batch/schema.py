"""What botocore's description of AWS Batch says of containers: names, types and values."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.model import Shape

#: The largest of Batch's integers, as of all of AWS that are not called long.
MOST = 2**31 - 1


@functools.cache
def _shape() -> Shape:
    """Give botocore's description of ``containerProperties``; to read it takes 20 ms."""
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    model = ServiceModel(Loader().load_service_model("batch", "service-2"))
    shape: Any = model.operation_model("RegisterJobDefinition").input_shape
    found: Shape = shape.members["containerProperties"]
    return found


def container_faults(found: Mapping[str, Any]) -> Iterator[str]:
    """Say what ``containerProperties`` have no name, no type or no value of, with those they have.

    Nothing is said where botocore isn't installed, as where jobs run on this machine.
    """
    if find_spec("botocore") is None:
        return
    from botocore import __version__
    from botocore.validate import ParamValidator

    report = ParamValidator().validate(found, _shape())
    if report.has_errors():
        words = " ".join(report.generate_report().replace(" in input", "").split())
        is_unknown = "Unknown parameter" in words
        yield words + (f" (a newer botocore than {__version__} may know more)" * is_unknown)
    else:
        yield from _value_faults("", found, _shape())
        yield from _volume_faults(found)


def _volume_faults(found: Mapping[str, Any]) -> Iterator[str]:
    """Say which volumes are mounted and nowhere described, or mounted nowhere."""
    there = {one.get("name") for one in found.get("volumes", ())}
    for point in found.get("mountPoints", ()):
        if (name := point.get("sourceVolume")) not in there:
            yield f"mountPoints has a sourceVolume {name!r}, but volumes has none of that name"
        if "containerPath" not in point:
            yield f"mountPoints has no containerPath for {name!r}"


def _value_faults(path: str, value: Any, shape: Any) -> Iterator[str]:
    """Say which values are none of those that there are: botocore leaves that to Batch."""
    if shape.type_name == "structure":
        for name, member in value.items():
            yield from _value_faults(
                f"{path}.{name}" if path else name, member, shape.members[name]
            )
    elif shape.type_name == "list":
        for number, member in enumerate(value):
            yield from _value_faults(f"{path}[{number}]", member, shape.member)
    elif shape.type_name == "integer":
        least = -1 if path.endswith("Limit") else 0  # of limits, that is none
        if not least <= value <= MOST:
            yield f"{path}={value} is wrong: it should be from {least} to {MOST}, as Batch counts"
    elif (valid := getattr(shape, "enum", ())) and value not in valid:
        yield f"{path}={value!r} is wrong: it should be one of {', '.join(map(repr, valid))}"
