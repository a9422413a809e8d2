"""The block of a report: what is in it, and that it can be pasted."""

from __future__ import annotations

import dataclasses

from dask_knot.report.facts import ReportedCheck, ReportFacts
from dask_knot.report.text import write

FACTS = ReportFacts(
    versions={"dask_knot": "0.1.0", "docker": "", "zlib-ng": "1.2.3.4"},
    machine={"platform": "Linux"},
    settings={
        "knot.engine": "aws",
        "knot.environment": {"PASSPHRASE": "open sesame"},
        "knot.aws.tags": {"project": "secret weapon"},
        "knot.aws.up.bucket": "lab-of-bob",
        "knot.store": "/home/bob/store",
    },
    sources=["/home/bob/.config/dask/knot.yaml"],
    docker="Docker 29",
    checks=[
        ReportedCheck("ok", "bucket: s3://lab-of-bob/knot can be written"),
        ReportedCheck(
            "wrong", "image: 123456789012.dkr.ecr has\nopen sesame", "run `dask knot image`"
        ),
    ],
)


def test_a_report() -> None:
    assert (
        write(FACTS, "/home/bob")
        == """\
<details open><summary>dask knot doctor --report</summary>

```text
versions
  dask_knot  0.1.0
  docker     (not installed)
  zlib-ng    1.2.3.4

machine
  platform  Linux

settings (all others have their defaults)
  knot.engine         aws
  knot.environment    PASSPHRASE=****
  knot.aws.tags       project=****
  knot.aws.up.bucket  ****
  knot.store          ~/store

set in
  ~/.config/dask/knot.yaml

Docker
  Docker 29

checks
  ok     bucket: s3://****/knot can be written
  wrong  image: <account>.dkr.ecr has ****
         → run `dask knot image`
```

</details>"""
    )


def test_what_is_missing_has_its_reason() -> None:
    facts = dataclasses.replace(FACTS, checks=(), unchecked="no\ncredentials", complaint="jobs: no")
    text = write(facts)
    assert "  not made: no credentials\n" in text
    assert "what is wrong with the settings\n  jobs: no\n" in text


def test_a_message_with_a_fence_does_not_end_the_block() -> None:
    text = write(dataclasses.replace(FACTS, docker="```"))
    assert text.count("````") == 2
