"""Nothing private is left in a report, and what isn't private stays."""

from __future__ import annotations

import pytest

from dask_knot.report.redaction import redacted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("arn:aws:batch:eu-west-1:123456789012:job/a", "arn:aws:batch:eu-west-1:<account>:job/a"),
        ("123456789012, 210987654321, 123456789012", "<account>, <account 2>, <account>"),
        ("arn:aws:iam::123456789012:user/bob", "arn:aws:iam::<account>:user/<name>"),
        (
            "arn:aws:sts::123456789012:assumed-role/Admin/bob@example.com",
            "arn:aws:sts::<account>:assumed-role/<name>",
        ),
        ("s3://lab-of-bob/knot; lab-of-bob is full", "s3://<bucket>/knot; <bucket> is full"),
        ("arn:aws:s3:::lab-of-bob/*", "arn:aws:s3:::<bucket>/*"),
        ("AKIAIOSFODNN7EXAMPLE", "<key id>"),
        ("mail bob.b@lab.example.org", "mail <e-mail>"),
        (
            "10.1.2.3:2375, 192.168.0.12, not 127.0.0.1",
            "<address>:2375, <address 2>, not 127.0.0.1",
        ),
        ("fe80:0:0:0:1:2:3:4 or 2001:db8::1", "<address> or <address 2>"),
        ("tcp://build.lab.example:2375", "tcp://<host>:2375"),
        ("https://bob:hunter2@index.lab.example/simple", "https://****@<host>/simple"),
        ("https://batch.eu-west-1.amazonaws.com/", "https://batch.eu-west-1.amazonaws.com/"),
        ("subnet-0a1b2c3d and subnet-0a1b2c3d4e", "subnet-<id> and subnet-<id 2>"),
        ("/home/bob/env and /home/eve/env", "~/env and /home/<user>/env"),
        ("/Users/eve/x", "/Users/<user>/x"),
        ("token is xyzzy-secret", "token is ****"),
    ],
)
def test_what_is_private_is_replaced(text: str, expected: str) -> None:
    assert redacted(text, ["xyzzy-secret"], "/home/bob") == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026.6.0, 1.0.2, 3.11.7",
        "knot.aws.region  eu-west-1",
        "20 ms at 12:30:15",
        "dask_knot.errors:JobError",
        "image: knot-3f2a91, 812 MiB",
        "wrong  queue: dask-knot DISABLED",
    ],
)
def test_what_is_not_private_stays(text: str) -> None:
    assert redacted(text, [], "/") == text
