"""The command line: what is printed, how it ends, and the file that it writes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from importlib.metadata import EntryPoint, version
from pathlib import Path
from typing import Any

import click
import dask
import pytest
import yaml
from click.testing import CliRunner, Result
from rich.console import Console

from dask_knot.aws.session import AwsSession
from dask_knot.cli import files
from dask_knot.cli.main import knot
from dask_knot.cli.screen import Screen, readable_size
from dask_knot.settings.defaults import DEFAULTS
from dask_knot.settings.settings import resolve
from tests.aws.account import account, sign_in
from tests.aws.formation import FakeFormation, FakeSession
from tests.aws.networks import Network


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let Dask's configuration be in a folder of the test."""
    monkeypatch.setattr(dask.config, "PATH", str(tmp_path))
    with dask.config.set({"knot": DEFAULTS}):
        yield tmp_path


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsSession]:
    sign_in(monkeypatch)
    with account() as session:
        yield session


def run(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(knot, list(arguments), input=answer)


def good(*arguments: str, answer: str | None = None) -> str:
    result = run(*arguments, answer=answer)
    assert result.exit_code == 0, result.output
    return result.output


def test_up_status_doctor_down(session: AwsSession, folder: Path) -> None:
    made = good("up", "--max-vcpus", "8", "--tag", "project=x", "--instance-types", "c6i,m6i")
    assert "stack dask-knot in eu-west-1: ec2, amd64, at most 8 vCPUs" in made
    assert "CREATE_COMPLETE  dask-knot (AWS::CloudFormation::Stack)" in made
    assert "dask knot image" in made
    shown = good("status")
    assert "stack" in shown
    assert "0 objects, 0 bytes" in shown
    assert re.search(r"remote builds +dask-knot-builder, which costs nothing", shown)
    examined = run("doctor")
    assert examined.exit_code == 1  # there is no image yet
    assert "wrong  image" in examined.output
    assert "→ run `dask knot image`" in examined.output
    assert "ok  remote builds" in examined.output
    deleted = good("down", "--yes")
    assert "stack dask-knot is deleted" in deleted
    assert list(folder.iterdir()) == []
    assert session.client("s3").list_buckets()["Buckets"] == []


def test_a_stack_without_remote_builds(session: AwsSession) -> None:
    good("up", "--no-remote-build")
    assert "none: images are built with Docker" in good("status")
    assert "`dask knot up --remote-build`" in run("doctor").output
    refused = run("image", "--remote", "--package", "dask")
    assert refused.exit_code == 1
    assert "this stack can't build images" in refused.output


def test_an_image_is_built_here_or_in_the_account() -> None:
    refused = run("image", "--local", "--remote")
    assert refused.exit_code == 2
    assert "give only one of them" in refused.output


def test_up_writes_a_file_that_a_cluster_and_the_next_up_read(
    folder: Path, session: AwsSession
) -> None:
    good("up", "--name", "team", "--platform", "fargate", "--max-vcpus", "8", "--tag", "a=b")
    text = (folder / "knot-up.yaml").read_text()
    knot_file = yaml.safe_load(text)["knot"]
    up = {"platform": "fargate", "max-vcpus": 8, "tags": {"a": "b"}}
    assert knot_file == {"engine": "aws", "aws": {"stack": "team", "region": "eu-west-1", "up": up}}
    assert "testing" not in text  # what the credentials of these tests are
    with dask.config.set({"knot": dask.config.merge(DEFAULTS, knot_file)}):
        settings = resolve({})
        assert settings.engine == "aws"
        assert settings.aws is not None
        assert settings.aws.stack == "team"
        assert "team in eu-west-1: fargate, amd64, at most 8" in good("up")


def test_what_batch_can_do_is_said_noted_and_taken_again(
    folder: Path, session: AwsSession, tmp_path: Path
) -> None:
    script = tmp_path / "mount.sh"
    script.write_text("#!/bin/bash\nmkdir /fsx\n")
    options = ["--platform", "spot", "--on-demand-vcpus", "16", "--user-data", str(script)]
    options += ["--file-system", "fs-0123456789abcdef0", "--container-insights", "enabled"]
    assert "spot, amd64, at most 256 vCPUs, then 16 vCPUs on demand" in good("up", *options)
    noted = yaml.safe_load((folder / "knot-up.yaml").read_text())["knot"]
    assert noted["aws"]["up"] == {
        "platform": "spot",
        "on-demand-vcpus": 16,
        "user-data": "#!/bin/bash\nmkdir /fsx\n",
        "file-systems": ["fs-0123456789abcdef0"],
        "container-insights": "enabled",
    }
    with dask.config.set({"knot": dask.config.merge(DEFAULTS, noted)}):
        assert "then 16 vCPUs on demand" in good("up")
    (queue,) = session.client("batch").describe_job_queues()["jobQueues"]
    assert len(queue["computeEnvironmentOrder"]) == 2
    assert re.search(r"compute environment +ENABLED.*\nbehind it +ENABLED", good("status"))


def test_user_data_that_are_no_text_are_answered(tmp_path: Path, session: AwsSession) -> None:
    file = tmp_path / "data"
    file.write_bytes(b"\xff\xfe\x00")
    result = run("up", "--user-data", str(file))
    assert result.exit_code == 2
    assert "isn't UTF-8 text" in result.output


def test_up_says_what_shells_need_of_a_role_that_is_not_the_stacks(session: AwsSession) -> None:
    role = session.client("iam").create_role(RoleName="theirs", AssumeRolePolicyDocument="{}")
    arn = role["Role"]["Arn"]
    said = re.sub(r"\s+", " ", good("up", "--no-config", "--shell", "--existing-job-role", arn))
    for action in ("CreateControl", "CreateData", "OpenControl", "OpenData"):
        assert f"ssmmessages:{action}Channel" in said
    assert f"isn't changed: {arn}" in said
    for options in (["--shell"], ["--existing-job-role", arn]):
        assert "ssmmessages" not in good("up", "--no-config", "--name", "other", *options)


def test_up_writes_nothing_if_it_shall_not(folder: Path, session: AwsSession) -> None:
    good("up", "--no-config")
    assert list(folder.iterdir()) == []


def test_a_network_is_looked_at_by_up_and_the_doctor(session: AwsSession) -> None:
    network = Network(session.client("ec2"))
    network.unroute(network.private_table)
    named = ["--subnets", f"{network.public},{network.private}"]
    refused = run("up", "--no-config", "--vpc", network.vpc, *named)
    assert refused.exit_code == 1
    assert f"{network.private}: it has no way out" in refused.output
    made = good("up", "--no-config", "--vpc", network.vpc)
    assert f"NOTE  network: {network.private}: it has no way out" in made
    network.give_addresses(network.public, False)
    examined = run("doctor").output
    assert re.search(rf"wrong +network: {network.public}: it is a public subnet", examined)
    assert "modify-subnet-attribute" in examined
    assert "ec2:DescribeRouteTables" in good("policy", "--user", "--network")
    assert "ec2:" not in good("policy", "--user")
    assert "ec2:DescribeNatGateways" in good("policy", "--operator")
    assert "ec2:DescribeNatGateways" not in good("policy", "--operator", "--no-check-network")


def test_down_asks_and_leaves_everything_if_the_answer_is_no(session: AwsSession) -> None:
    good("up", "--bucket", "my-bucket")
    result = run("down", answer="n\n")
    assert result.exit_code == 1
    assert "Delete stack dask-knot in eu-west-1 and all data in my-bucket?" in result.output
    assert len(session.client("cloudformation").describe_stacks()["Stacks"]) == 1
    assert "is deleted" in good("down", answer="y\n")


def test_down_says_which_data_it_keeps(session: AwsSession) -> None:
    good("up", "--bucket", "my-bucket")
    kept = good("down", "--keep-data", answer="y\n")
    assert "all data" not in kept
    assert "still there, and still paid for: the bucket my-bucket" in kept
    session.client("s3").head_bucket(Bucket="my-bucket")


def test_down_without_a_stack_is_no_error(session: AwsSession) -> None:
    assert "no stack dask-knot in eu-west-1: nothing to delete" in good("down")


def test_down_of_another_stack_leaves_the_file(folder: Path, session: AwsSession) -> None:
    good("up", "--name", "first", "--no-config")
    good("up", "--name", "second", "--vpc", "new")
    good("down", "--name", "first", "--yes")
    assert (folder / "knot-up.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["up", "--log-days", "4"], "log_days=4 is wrong"),
        (["up", "--name", "Team"], "lower case letters"),
        (["up", "--platform", "fargate", "--gpu"], "use platform='ec2'"),
        (["status", "--name", "nobody"], "there is no stack 'nobody' in eu-west-1"),
        (["policy", "--user", "--name", "nobody"], "there is no stack 'nobody'"),
    ],
)
def test_errors_are_one_message(arguments: list[str], message: str, session: AwsSession) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert re.sub(r"^.*…\n", "", result.output).startswith("Error: ")
    assert message in result.output
    assert "Traceback" not in result.output


def test_no_credentials_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    result = run("status")
    assert (result.exit_code, "credentials" in result.output) == (1, True)


def test_the_doctor_without_credentials_and_region_prints_its_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sign_in(monkeypatch)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    result = run("doctor")
    assert result.exit_code == 1
    marks = [line.partition(":")[0] for line in result.output.splitlines()[1::2]]
    assert marks == ["wrong  region", "wrong  credentials"]
    assert all(line.strip().startswith("→ ") for line in result.output.splitlines()[2::2])
    assert "wrong  credentials" in run("doctor", "--region", "eu-west-1").output


def test_an_interrupted_up_says_how_to_go_on() -> None:
    class Interrupted(FakeFormation):
        def create_stack(self, **request: Any) -> dict[str, str]:
            raise KeyboardInterrupt

    session = FakeSession(cloudformation=Interrupted())
    arguments = ["up", "--existing-queue", "theirs"]
    result = CliRunner().invoke(knot, arguments, obj=lambda **_: session)
    assert result.exit_code == 1
    assert "CloudFormation carries on by itself; `dask knot up --name dask-knot`" in result.output


def test_policies_are_json(session: AwsSession) -> None:
    operator = json.loads(good("policy", "--operator", "--platform", "fargate"))
    assert "123456789012:stack/dask-knot/*" in json.dumps(operator)
    assert "InstanceProfile" not in json.dumps(operator)
    good("up")
    user = json.loads(good("policy", "--user"))
    assert "ecr:PutImage" in json.dumps(user)
    assert "ecr:PutImage" not in good("policy", "--user", "--no-push")


def test_a_policy_is_for_somebody() -> None:
    result = run("policy")
    assert result.exit_code == 2
    assert "--user or --operator" in result.output


def test_the_operators_policy_needs_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    policy = good("policy", "--operator", "--region", "eu-west-1")
    assert "arn:aws:cloudformation:eu-west-1:*:stack/dask-knot/*" in policy
    monkeypatch.setenv("AWS_REGION", "cn-north-1")
    policy = good("policy", "--operator")
    assert "arn:aws-cn:cloudformation:cn-north-1:*:stack/dask-knot/*" in policy
    assert "arn:aws:" not in policy


def test_dask_finds_the_commands(project: Path) -> None:
    setup = ConfigParser()
    setup.read(project / "setup.cfg")
    name, _, value = setup["options.entry_points"]["dask_cli"].strip().partition(" = ")
    found = EntryPoint(name, value, "dask_cli")
    assert found.name == "knot"
    assert found.load() is knot


@pytest.mark.parametrize("command", ["up", "down", "status", "doctor", "policy", "image"])
def test_every_command_has_help(command: str) -> None:
    assert "Usage:" in good(command, "--help")


def test_help_is_whole_on_a_narrow_terminal() -> None:
    lines = good("--help").splitlines()
    commands = lines[lines.index("Set up AWS:") : lines.index("  Examples:")]
    listed = [line.split()[0] for line in commands if line.startswith("  ")]
    assert sorted(listed) == sorted(knot.commands)
    assert not [line for line in lines[1:] if line.endswith("...") or len(line) > 80]


def test_every_option_has_help() -> None:
    options = [one for command in knot.commands.values() for one in command.params]
    assert not [one.name for one in options if isinstance(one, click.Option) and not one.help]


def test_the_version() -> None:
    assert good("--version").split() == ["dask_knot,", "version", version("dask_knot")]


def test_a_terminal_gets_colors_and_a_file_does_not(tmp_path: Path) -> None:
    for is_terminal in (True, False):
        with (tmp_path / "out").open("w") as file:
            screen = Screen(Console(file=file, force_terminal=is_terminal, markup=False, width=80))
            screen.table([("a", "[b]"), ("long", "c")])
            screen.marked("ok", "text")
        text = (tmp_path / "out").read_text()
        assert ("\x1b[" in text) == is_terminal
        assert "[b]" in text
    assert text == "a     [b]\nlong  c\nok  text\n"


def test_sizes_are_readable() -> None:
    sizes = [0, 1023, 1024, 1.5 * 2**20, 2**30, 3 * 2**40]
    expected = ["0 bytes", "1023 bytes", "1.0 KiB", "1.5 MiB", "1.0 GiB", "3.0 TiB"]
    assert [readable_size(size) for size in sizes] == expected


def test_a_file_of_somebody_else_is_left(folder: Path) -> None:
    (folder / "knot-up.yaml").write_text("knot: {aws: {stack: other, region: eu-west-1}}\n")
    assert files.remove("dask-knot", "eu-west-1") is None
    (folder / "knot-up.yaml").write_text("")
    assert files.remove("dask-knot", "eu-west-1") is None


@pytest.mark.parametrize("arguments", [("up",), ("status",), ("doctor",), ("image", "--local")])
def test_the_first_word_comes_before_the_libraries(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    """They take seconds on a busy machine; here they end the program."""
    for name in ("boto3", "botocore", "docker", "rich"):
        (tmp_path / f"{name}.py").write_text("import sys; sys.exit(7)")
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    done = subprocess.run(
        [sys.executable, "-c", "from dask_knot.cli import knot; knot()", *arguments],
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert done.stdout == ""
    assert done.stderr.strip().endswith("…")


def test_a_source_that_is_not_there_is_told_before_anything_is_asked() -> None:
    result = CliRunner().invoke(knot, ["image", "nope.py"])
    assert result.exit_code == 2
    assert "nope.py doesn't exist" in result.output
    assert "region" not in result.output
