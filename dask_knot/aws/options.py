"""The options of `dask knot up`: keyword before dask.config (`knot.aws.up`) before the default."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, get_args, get_origin, get_type_hints

from dask_knot.aws import names
from dask_knot.aws.pairs import check_pairs
from dask_knot.aws.rules import RULES
from dask_knot.settings.checks import wrong
from dask_knot.settings.defaults import DEFAULTS
from dask_knot.settings.resolver import Check, is_empty, is_none, keywords, resolved, section


@dataclass(frozen=True, slots=True)
class StackOptions:
    """All options of a stack; ``knot.yaml`` says what each option means.

    Raises
    ------
    ConfigurationError
        If an option is wrong, or two don't go together.
    """

    name: str = DEFAULTS["aws"]["stack"]
    platform: str = "ec2"
    architecture: str = "amd64"
    instance_types: tuple[str, ...] = ()
    gpu: bool = False
    min_vcpus: int = 0
    desired_vcpus: int | None = None
    max_vcpus: int = 256
    allocation_strategy: str | None = None
    spot_percentage: int | None = None
    ami: str | None = None
    volume_size: int = 50
    volume_type: str = "gp3"
    key_pair: str | None = None
    vpc: str = "default"
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    public_ip: bool = True
    bucket: str | None = None
    prefix: str = "knot"
    encryption: str = "AES256"
    repository: str | None = None
    existing_bucket: str | None = None
    existing_queue: str | None = None
    existing_job_role: str | None = None
    secrets: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    owner: str | None = None
    priority: int = 1
    expiry_days: int = 30
    log_days: int = 14
    images: int = 20
    shell: bool = False
    remote_build: bool = True
    on_demand_vcpus: int = 0
    existing_repository: str | None = None
    existing_execution_role: str | None = None
    existing_instance_profile: str | None = None
    existing_launch_template: str | None = None
    permissions_boundary: str | None = None
    volume_key: str | None = None
    volume_iops: int | None = None
    volume_throughput: int | None = None
    placement_group: str | None = None
    user_data: str | None = None
    hop_limit: int = 1
    scale_down_delay: int | None = None
    container_insights: str | None = None
    capacity_minutes: int | None = None
    file_systems: tuple[str, ...] = ()
    check_network: bool = True

    def __post_init__(self) -> None:
        for name, rule in RULES.items():
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, rule(name, value))
        check_pairs(self)

    @property
    def family(self) -> str:
        """``ec2`` or ``fargate``: what a queue can't change between."""
        return self.platform.partition("-")[0].replace("spot", "ec2")

    @property
    def is_spot(self) -> bool:
        """True if jobs may be reclaimed."""
        return "spot" in self.platform

    @property
    def strategy(self) -> str:
        """The allocation strategy that Batch is told (EC2 and Spot)."""
        default = "SPOT_PRICE_CAPACITY_OPTIMIZED" if self.is_spot else "BEST_FIT_PROGRESSIVE"
        return self.allocation_strategy or default

    @property
    def kms_key(self) -> str | None:
        """The ARN of the key that encrypts the bucket, if it isn't S3's own."""
        return None if self.encryption == "AES256" else self.encryption

    @property
    def all_tags(self) -> dict[str, str]:
        """The tags of every resource: the user's, `dask-knot` and the owner.

        In one order, however they are given: disks whose tags stand in another are a change, which
        exchanges all machines.
        """
        is_given = names.OWNER_TAG in map(str.lower, self.tags)
        owner = {names.OWNER_TAG: self.owner} if self.owner and not is_given else {}
        return dict(sorted({**owner, **self.tags, names.TAG: self.name}.items()))

    def changed(self) -> dict[str, Any]:
        """Give the options that differ from their defaults, by their names in ``knot.yaml``."""
        default = StackOptions()
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return {
            name.replace("_", "-"): list(value) if isinstance(value, tuple) else value
            for name, value in found.items()
            if name != "name" and value != getattr(default, name)
        }


def resolve_options(given: Mapping[str, Any]) -> StackOptions:
    """Merge options with the configuration, and check everything.

    Parameters
    ----------
    given : mapping of str to Any
        Options by field name; None, or nothing in a list, means that the configuration decides.

    Raises
    ------
    ConfigurationError
        If a name is unknown or a value is wrong; the message names the valid ones.
    """
    said = keywords(given, "a stack has no option", is_empty)
    configured, place = section("knot.aws.up", is_none), section("knot.aws", is_none)
    said.check_names(_CHECKS)
    configured.check_names(_CHECKS.keys() - {"name"})  # which is `knot.aws.stack`
    found = resolved(_CHECKS, said, configured)
    if "name" not in found and (named := resolved({"stack": _CHECKS["name"]}, place)):
        found["name"] = named["stack"]
    return StackOptions(**found)


def _check_of(name: str, hint: Any) -> Check:
    """Make the check of an option: what YAML, the environment or a keyword gave, then the rule."""

    def check(label: str, value: Any) -> Any:
        found = _convert(label, value, hint)
        return RULES[name](label, found) if name in RULES else found

    return check


def _convert(name: str, value: Any, hint: Any) -> Any:
    """Give a value of the field's type."""
    if get_origin(hint) is types.UnionType:
        hint = next(one for one in get_args(hint) if one is not type(None))
    if get_origin(hint) is tuple:
        listed = value.split(",") if isinstance(value, str) else value
        return tuple(str(one).strip() for one in _expect(name, listed, (list, tuple), "a list"))
    if get_origin(hint) is Mapping:
        pairs = _expect(name, value, Mapping, "a mapping of names to values")
        return {str(key): str(one) for key, one in pairs.items()}
    if hint is bool:
        return _expect(name, value, bool, "true or false")
    if hint is int:
        number = int(value) if isinstance(value, str) and value.isdecimal() else value
        number = None if isinstance(number, bool) else number
        return _expect(name, number, int, "a whole number")
    return str(_expect(name, value, (str, int), "a text"))


def _expect(name: str, value: Any, kind: Any, expected: str) -> Any:
    if not isinstance(value, kind):
        raise wrong(name, value, expected)
    return value


_CHECKS = {name: _check_of(name, hint) for name, hint in get_type_hints(StackOptions).items()}
