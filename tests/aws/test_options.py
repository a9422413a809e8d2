"""The options of `up`: where they come from, and which go together."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import dask
import pytest

from dask_knot.aws import rules
from dask_knot.aws.options import StackOptions, resolve_options
from dask_knot.cli.flags import ARCHITECTURES, PLATFORMS, UP
from dask_knot.errors import ConfigurationError
from dask_knot.settings.defaults import DEFAULTS


@pytest.fixture(autouse=True)
def defaults() -> Any:
    """Use the packaged defaults only."""
    with dask.config.set({"knot": DEFAULTS}):
        yield


def test_knot_yaml_has_every_option_with_its_default() -> None:
    default = StackOptions()
    expected = {one.name: getattr(default, one.name) for one in fields(StackOptions)}
    expected = {name.replace("_", "-"): value for name, value in expected.items()}
    assert expected.pop("name") == DEFAULTS["aws"]["stack"]
    listed = {k: list(v) if isinstance(v, tuple) else v for k, v in expected.items()}
    assert DEFAULTS["aws"]["up"] == listed


def test_the_command_line_has_every_option() -> None:
    assert list(UP) == [one.name for one in fields(StackOptions) if one.name != "name"]
    assert (PLATFORMS, ARCHITECTURES) == (rules.PLATFORMS, rules.ARCHITECTURES)


def test_nothing_given_means_the_defaults() -> None:
    assert resolve_options({}) == StackOptions()
    assert StackOptions().changed() == {}


def test_a_keyword_wins_over_the_configuration() -> None:
    with dask.config.set({"knot.aws.up.max-vcpus": 8, "knot.aws.up.platform": "spot"}):
        options = resolve_options({"max_vcpus": 16, "platform": None})
    assert (options.max_vcpus, options.platform) == (16, "spot")


def test_a_false_keyword_counts() -> None:
    with dask.config.set({"knot.aws.up.public-ip": True}):
        assert resolve_options({"public_ip": False}).public_ip is False


def test_values_of_the_environment_are_understood() -> None:
    set_so = {"knot.aws.up.instance-types": "c6i,m6i.large", "knot.aws.up.max-vcpus": "32"}
    with dask.config.set(set_so):
        options = resolve_options({})
    assert options.instance_types == ("c6i", "m6i.large")
    assert options.max_vcpus == 32


def test_the_stack_of_the_configuration_is_the_name() -> None:
    with dask.config.set({"knot.aws.stack": "team"}):
        assert resolve_options({}).name == "team"
        assert resolve_options({"name": "mine"}).name == "mine"


def test_changed_options_give_the_same_when_they_are_read_again() -> None:
    options = StackOptions(platform="spot", instance_types=("c6i",), tags={"a": "b"}, max_vcpus=8)
    with dask.config.set({"knot.aws.up": options.changed()}):
        assert resolve_options({}) == options


def test_an_unknown_setting_is_answered_with_what_was_meant() -> None:
    with (
        dask.config.set({"knot.aws.up.max-cpus": 8}),
        pytest.raises(ConfigurationError, match=r"max-cpus.*Did you mean 'max-vcpus'"),
    ):
        resolve_options({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max-vcpus", "many"),
        ("gpu", "yes"),
        ("tags", ["a"]),
        ("subnets", 7),
        ("volume-size", True),
        ("images", "²"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(name: str, value: object) -> None:
    with (
        dask.config.set({f"knot.aws.up.{name}": value}),
        pytest.raises(ConfigurationError, match=f"knot.aws.up.{name}="),
    ):
        resolve_options({})


@pytest.mark.parametrize(
    ("given", "configured", "says"),
    [
        ({"max_vcpus": 0}, {}, "^max_vcpus=0 is wrong"),
        ({}, {"max-vcpus": 0}, "^knot.aws.up.max-vcpus=0 is wrong"),
        ({"platform": "lambda"}, {"platform": "spot"}, "^platform='lambda' is wrong"),
        ({}, {"tags": {"aws:a": "b"}}, "^knot.aws.up.tags='aws:a' is wrong"),
        ({"subnet": ()}, {}, "^a stack has no option 'subnet'. Did you mean 'subnets'"),
        ({}, {"name": "team"}, "^in the configuration, knot.aws.up has no setting 'name'"),
    ],
)
def test_an_error_says_where_the_value_came_from(
    given: dict[str, Any], configured: dict[str, Any], says: str
) -> None:
    with (
        dask.config.set({"knot.aws.up": configured}),
        pytest.raises(ConfigurationError, match=says),
    ):
        resolve_options(given)


def test_a_wrong_stack_of_the_configuration_is_one_only_if_it_is_used() -> None:
    with dask.config.set({"knot.aws.stack": "Team"}):
        assert resolve_options({"name": "mine"}).name == "mine"
        with pytest.raises(ConfigurationError, match=r"^knot.aws.stack='Team' is wrong"):
            resolve_options({})


VPC = "vpc-0123456789abcdef0"
ROLE = "arn:aws:iam::123456789012:role/r"
SECRET = "arn:aws:ssm:eu-west-1:123456789012:parameter/a"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/abc-1"
LAUNCH, FILES = "lt-0123456789abcdef0:3", "fs-0123456789abcdef0"
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"platform": "lambda"}, "one of 'ec2', 'spot'"),
    ({"architecture": "x86"}, "one of 'amd64'"),
    ({"log_days": 4}, "one of 1, 3, 5"),
    ({"volume_type": "floppy"}, "one of 'gp3'"),
    ({"volume_size": 8}, "from 30"),
    ({"max_vcpus": 0}, "from 1"),
    ({"max_vcpus": -3}, "max_vcpus=-3 .* from 1"),
    ({"min_vcpus": 300}, "from 0 to 256"),
    ({"desired_vcpus": 2, "min_vcpus": 4}, "from 4 to 256"),
    ({"spot_percentage": 101, "platform": "spot"}, "from 1 to 100"),
    ({"spot_percentage": 50}, "only with platform='spot'"),
    ({"allocation_strategy": "SPOT_CAPACITY_OPTIMIZED"}, "one of 'BEST_FIT_PROGRESSIVE'"),
    ({"allocation_strategy": "BEST_FIT", "platform": "fargate"}, "is an option of instances"),
    ({"gpu": True, "platform": "fargate"}, "gpu is an option of instances"),
    ({"instance_types": ("c6i",), "platform": "fargate-spot"}, "instance_types is an option"),
    ({"architecture": "arm64", "platform": "fargate-spot"}, "doesn't offer arm64 on Fargate Spot"),
    ({"instance_types": ("C6I",)}, "instance types in AWS's own form"),
    ({"ami": "ubuntu"}, "an AMI such as"),
    ({"vpc": "mine"}, "'default', 'new' or the id"),
    ({"subnets": ("subnet-12345678",)}, "give its id with vpc="),
    ({"vpc": VPC, "subnets": ("net",)}, "subnets in AWS's own form"),
    ({"security_groups": ("sg-12345678",), "vpc": "new"}, "give its id with vpc="),
    ({"public_ip": False, "platform": "fargate"}, "need public_ip=True"),
    ({"encryption": "aes"}, "ARN of a KMS key"),
    ({"existing_job_role": "admin"}, "ARN of a role"),
    ({"secrets": ("password",)}, "secrets in AWS's own form"),
    ({"bucket": "abc", "existing_bucket": "def"}, "give one or the other"),
    ({"existing_queue": "q", "vpc": VPC, "subnets": ("subnet-12345678",)}, "with existing_queue"),
    ({"existing_queue": "q", "gpu": True}, "with existing_queue"),
    ({"tags": {"aws:x": "y"}}, "not beginning with 'aws:'"),
    ({"tags": {"dask-knot": "y"}}, "which is ours"),
    ({"tags": {"": "y"}}, "keys of up to"),
    ({"tags": {"Dask-Knot": "y"}}, "which is ours"),
    ({"tags": {"a": "b" * 257}}, "value of 'a' of up to"),
    ({"tags": {"a": "<b>"}}, "value of 'a' of up to"),
    ({"tags": {"a": "b, c"}}, "value of 'a' of up to"),
    ({"tags": {"a": "b\nc"}}, "value of 'a' of up to"),
    ({"tags": {"a": "aws:b"}}, "not beginning with 'aws:'"),
    ({"tags": {"a,b": "c"}}, "keys of up to"),
    ({"tags": {"Team": "a", "team": "b"}}, "'Team' and 'team' are one tag to AWS"),
    ({"tags": {f"t{n}": "" for n in range(46)}}, "at most 45 tags"),
    ({"key_pair": "a\nb"}, "the name of a key pair"),
    ({"owner": "Bob, Alice"}, "^owner='Bob, Alice' is wrong"),
    ({"volume_type": "st1"}, "one of 'gp3'"),
    ({"on_demand_vcpus": 8}, "given only with platform='spot' or 'fargate-spot'"),
    ({"on_demand_vcpus": -8, "platform": "spot"}, "from 0"),
    ({"permissions_boundary": "edge"}, "the ARN of a policy"),
    ({"existing_execution_role": "admin"}, "ARN of a role"),
    ({"existing_execution_role": ROLE, "secrets": (SECRET,)}, "needs permission to read them"),
    ({"existing_instance_profile": ROLE}, "ARN of an instance profile"),
    ({"existing_repository": "Images"}, "lower case letters"),
    ({"existing_repository": "a/b", "repository": "c/d"}, "repository can't be given with"),
    ({"existing_repository": "a/b", "images": 5}, "images can't be given with"),
    ({"existing_launch_template": "mine"}, "the id of a launch template"),
    ({"existing_launch_template": LAUNCH, "user_data": "#!x"}, "user_data can't be given with"),
    ({"existing_launch_template": LAUNCH, "volume_size": 99}, "volume_size can't be given with"),
    ({"existing_launch_template": LAUNCH, "platform": "fargate"}, "is an option of instances"),
    ({"volume_key": "alias/mine"}, "ARN of a KMS key"),
    ({"volume_key": KEY, "platform": "fargate"}, "volume_key is an option of instances"),
    ({"volume_iops": -1}, "from 100"),
    ({"volume_iops": 2000}, "from 3000 to 25000"),
    ({"volume_iops": 4000, "volume_type": "gp2"}, "only with volume_type gp3, io1, io2"),
    ({"volume_type": "io2"}, "needs a speed: give volume_iops"),
    ({"volume_throughput": 1000}, "from 125 to 750"),
    ({"volume_throughput": 250, "volume_type": "gp2"}, "only with volume_type gp3"),
    ({"placement_group": ""}, "the name of a placement group"),
    ({"placement_group": "g", "platform": "fargate"}, "is an option of instances"),
    ({"user_data": "mount.sh"}, "the text of a script"),
    ({"user_data": "#!" + "x" * 15360}, "at most 15,360 bytes"),
    ({"volume_type": "standard", "volume_size": 1025}, "volume_size=1025 .* from 30 to 1024"),
    ({"hop_limit": 0}, "from 1 to 64"),
    ({"scale_down_delay": 5}, "from 20 to 10080"),
    ({"container_insights": "yes"}, "one of 'disabled', 'enabled', 'enhanced'"),
    ({"capacity_minutes": 1}, "from 10 to 1440"),
    ({"existing_queue": "q", "capacity_minutes": 20}, "with existing_queue"),
    ({"existing_queue": "q", "on_demand_vcpus": 2, "platform": "spot"}, "with existing_queue"),
    ({"file_systems": ("efs",)}, "file systems .* in AWS's own form"),
    ({"file_systems": (FILES,), "existing_job_role": ROLE}, "needs permission to mount them"),
]


@pytest.mark.parametrize(("given", "message"), WRONG, ids=[str(given)[:60] for given, _ in WRONG])
def test_what_is_wrong_is_refused_before_anything_is_made(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        StackOptions(**given)


def test_what_goes_together_is_taken() -> None:
    StackOptions(platform="spot", spot_percentage=60, gpu=True, tags={"Cost center": "a/b+c=d"})
    StackOptions(vpc=VPC, subnets=("subnet-12345678",), platform="fargate", public_ip=False)
    StackOptions(encryption=KEY, volume_key=KEY, volume_type="io2", volume_iops=50_000)
    StackOptions(volume_iops=16_000, volume_throughput=1000, tags={"größe": "a", "空": "東 京"})
    StackOptions(platform="fargate-spot", on_demand_vcpus=8, container_insights="enabled")


@pytest.mark.parametrize(
    ("platform", "family", "is_spot", "strategy"),
    [
        ("ec2", "ec2", False, "BEST_FIT_PROGRESSIVE"),
        ("spot", "ec2", True, "SPOT_PRICE_CAPACITY_OPTIMIZED"),
    ],
)
def test_what_follows_from_the_platform(
    platform: str, family: str, is_spot: bool, strategy: str
) -> None:
    options = StackOptions(platform=platform)
    assert (options.family, options.is_spot, options.strategy) == (family, is_spot, strategy)


def test_fargate_spot_is_fargate() -> None:
    assert StackOptions(platform="fargate-spot").family == "fargate"


def test_our_tag_and_the_owner_are_on_everything() -> None:
    options = StackOptions(name="team", owner="ada", tags={"project": "x"})
    assert options.all_tags == {"owner": "ada", "project": "x", "dask-knot": "team"}
