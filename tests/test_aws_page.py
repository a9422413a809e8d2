"""The page about AWS: its messages are the code's, its options and actions all that there are."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dask_knot.aws.outputs import parse_outputs
from dask_knot.aws.policy import user_policy
from dask_knot.cli.flags import IMAGE, SINGULAR, UP
from tests.aws.formation import described

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/aws.md").read_text()
GAP = "…"


def section(title: str) -> str:
    """Return what stands under a heading."""
    [body] = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return str(body)


def texts() -> Iterator[str]:
    """Give every text of the package, what is filled in as a gap."""
    for file in (ROOT / "dask_knot").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [one.value if isinstance(one, ast.Constant) else GAP for one in node.values]
                yield "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield re.sub(r"\{\w+\}", GAP, node.value)


MESSAGES = re.findall(r"^\| `(.+?)` \|", section("When something goes wrong"), re.MULTILINE)
TEXTS = [" ".join(text.split()) for text in texts()]


def test_there_are_messages() -> None:
    assert len(MESSAGES) > 30


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_one_of_ours(message: str) -> None:
    pieces = [piece.strip() for piece in message.split(GAP)]
    pattern = re.compile(".*".join(re.escape(piece) for piece in pieces if piece))
    assert any(pattern.search(text) for text in TEXTS)


def test_all_options_of_an_image_are_named() -> None:
    table = (ROOT / "docs/images.md").read_text()
    for name, (kind, _) in IMAGE.items():
        flag = kind if isinstance(kind, str) else f"--{name}"
        assert re.search(rf"^\| `{flag}` \| `{name}` \|", table, re.MULTILINE), name


def test_the_options_that_are_named_are_options_of_up() -> None:
    flags = {f"--{name.replace('_', '-')}" for name in UP} | {
        "--name",
        "--no-config",
        *SINGULAR.values(),
    }
    flags |= {f"--no-{name.replace('_', '-')}" for name, (kind, _) in UP.items() if kind is bool}
    text = section("What you get") + section("Cost, and cleaning up")
    found = set(re.findall(r"--[a-z][a-z-]+", text))
    assert found - {"--help", "--keep-data"} <= flags


def test_every_action_of_the_users_policy_is_explained() -> None:
    text = section("Permissions")
    key = described(KmsKey="arn:aws:kms:eu-west-1:123456789012:key/1", Builder="dask-knot-builder")
    for statement in user_policy(parse_outputs(key))["Statement"]:
        for action in statement["Action"]:
            service, _, name = action.partition(":")
            is_group = f"`{service}:{GAP}`" in text or (
                name.startswith("Describe") and f"`{service}:Describe{GAP}`" in text
            )
            assert is_group or name in text, action
