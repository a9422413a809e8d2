"""What BuildKit and Podman print of a build, of several versions."""

from __future__ import annotations

import pytest

from dask_knot.errors import ImageError
from dask_knot.image.progress import cure_of, follow_answers, follow_plain

GOOD = """\
#1 [internal] load build definition from Dockerfile
#1 transferring dockerfile: 100B done
#1 DONE 0.0s

#4 [1/3] FROM docker.io/library/python:3.11-slim
#4 CACHED

#5 [base 2/3] RUN pip install numpy
#5 sha256:2fb575a40e89dbef7188d6b5b8375801142cd7032180301b26c6cade111f7650
#5 0.211 Collecting numpy
#6 [ 3/13] RUN true
#5 0.9 Requirement already satisfied: click
#5 1.0 Downloading numpy-2.4.6.whl (16.9 MB)
#5 1.1    ━━━━━━━━━━━━━━━━━━━━━━━ 16.9/16.9 MB 369.4 MB/s eta 0:00:00
#5 12.04 Successfully installed \x1b[32mnumpy\x1b[0m
#5 DONE 13.3s
#6 DONE 0.1s
"""
BAD = """\
#5 [2/3] RUN --mount=type=secret,id=x echo printed && false
#5 0.152 printed
#5 ERROR: process "/bin/sh -c echo printed && false" did not complete successfully: exit code: 1
------
 > [2/3] RUN --mount=type=secret,id=x echo printed && false:
0.152 printed
------
Dockerfile:3
ERROR: failed to solve: process "/bin/sh -c echo printed && false" did not complete: exit code: 1
"""
OLD = """\
#6 [3/3] RUN make
#6 0.152 printed
#6 ERROR: executor failed running [/bin/sh -c make]: exit code: 1
------
 > [3/3] RUN make:
------
executor failed running [/bin/sh -c make]: exit code: 1
"""
NO_BASE = """\
#3 [internal] load metadata for docker.io/library/nope:1
#3 ERROR: docker.io/library/nope:1: not found
------
"""
AT_ALL = "ERROR: failed to build: failed to solve: failed to read dockerfile\n"


def test_steps_and_what_they_print_are_told() -> None:
    said: list[str] = []
    follow_plain(GOOD.splitlines(), said.append)
    assert said == [
        "[1/3] FROM docker.io/library/python:3.11-slim",
        "[base 2/3] RUN pip install numpy",
        "  Collecting numpy",
        "[ 3/13] RUN true",
        "  Downloading numpy-2.4.6.whl (16.9 MB)",
        "  Successfully installed numpy",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BAD, r"failed:\n  RUN --mount.*&& false\n    printed\nprocess .*exit code: 1\nFix"),
        (OLD, r"failed:\n  RUN make\n    printed\nexecutor failed"),
        (NO_BASE, r"load metadata for docker.io/library/nope:1\ndocker.*not found"),
        (AT_ALL, "can't be built: failed to build.*failed to read dockerfile"),
    ],
)
def test_the_line_that_failed_is_shown(text: str, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        follow_plain(text.splitlines(), lambda line: None)


def test_podman_says_it_in_capitals() -> None:
    answers = [
        {"stream": "STEP 1/2: FROM a\n"},
        {"stream": "--> 12ab\nSTEP 2/2: RUN ma"},
        {"stream": "ke\nprinted\n"},
        {"error": "while running runtime: exit status 1"},
    ]
    said: list[str] = []
    with pytest.raises(ImageError, match=r"failed:\n  RUN make\n    printed\nwhile"):
        follow_answers(answers, said.append)
    assert said == ["Step 1/2 : FROM a", "Step 2/2 : RUN make", "  printed"]


def test_secrets_go_before_a_line_is_cut() -> None:
    said: list[str] = []
    line = f"#1 [1/1] RUN {'x' * 90}secret\n#1 0.1 {'x' * 90}secret"
    follow_plain(line.splitlines(), said.append, lambda text: text.replace("secret", "****"))
    assert "sec" not in "".join(said)


@pytest.mark.parametrize(
    ("printed", "cure"),
    [
        (
            "ERROR: No matching distribution found for torch==2.5.0",
            "torch==2.5.0 wasn't found on the index",
        ),
        ("error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory", "--debian g++"),
        (
            "ERROR: No matching distribution found for ours==1.0",
            "logins in a keyring don't reach the build",
        ),
        (
            "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError("
            "'...')': /simple/ours/\nERROR: No matching distribution found for ours",
            "The build can't reach the index (NewConnectionError)",
        ),
        ("(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] ...", "PIP_CERT"),
        ("broken by 'ProxyError(407 Proxy Authentication Required)'", "HTTPS_PROXY=http://user"),
        ("ERROR: HTTP error 401 while getting https://host/ours.whl", "refused the login"),
        ("exec /bin/sh: exec format error", "install QEMU"),
        ("something else", "Fix that line"),
    ],
)
def test_what_helps(printed: str, cure: str) -> None:
    assert cure in cure_of(printed)
