"""Credentials leave the text that an image keeps, and whoever looks sees none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.environment.credentials import (
    expanded,
    hide,
    masked,
    redact,
    secrets_of,
    variables,
)

TOKEN = "ghp_s3cr3tT0k3n"


@pytest.mark.parametrize(
    "line",
    [
        f"git+https://{TOKEN}@github.com/owner/name@v1",
        f"git+https://x-access-token:{TOKEN}@github.com/owner/name@v1#subdirectory=a",
        f"name @ git+http://oauth2:{TOKEN}@gitlab.example.com/owner/name.git@main",
        f"name @ https://me:{TOKEN}@host/name-1.0-py3-none-any.whl ; python_version > '3'",
        f"https://host/name-1.0.zip?sig={TOKEN}&se=2027",
        f"https://host/name-1.0.zip?X-Amz-Date=1&X-Amz-Signature={TOKEN}#sha256=12",
        f"name[extra] @ https://host/name-1.0.zip?private_token={TOKEN}",
        f"svn+https://me:{TOKEN}@host/name",
        f"svn+ssh://me:{TOKEN}@host/name",
        f"name @ https://me:p@ss{TOKEN}@host/name-1.0-py3-none-any.whl",
        f"name @ https://host/name-1.0-py3-none-any.whl?apikey={TOKEN}",
    ],
)
def test_a_token_leaves_the_line_and_comes_back_as_pip_fills_it_in(line: str) -> None:
    (hidden,), values = hide([line])
    assert TOKEN not in hidden
    assert expanded(hidden, values) == line
    (again,), others = hide([line.replace(TOKEN, "another")])
    assert again == hidden, "a new token makes no new image"
    assert others.keys() == values.keys()
    assert TOKEN in " ".join(secrets_of([line]))
    assert TOKEN not in redact(f"failed: {line}", secrets_of([line]))


@pytest.mark.parametrize(
    "line",
    [
        "pandas==2.0",
        "name @ https://host/name-1.0-py3-none-any.whl",
        "git+ssh://git@github.com/owner/name@v1",
        "git+https://git@github.com/owner/name",
        "git+https://${MY_TOKEN}@github.com/owner/name@v1",
        "https://host/download?name=a&version=2",
        "name @ https://host/a@b.whl",
    ],
)
def test_what_has_no_secret_stays_as_it_is(line: str) -> None:
    assert hide([line]) == ((line,), {})
    assert redact(line, secrets_of([line])) == line


@pytest.mark.parametrize(
    "line",
    [
        f"name @ https://host/name.whl?token={TOKEN}",
        f"https://host/name.whl?X-Amz-Signature={TOKEN}&X-Amz-Date=1#sha256=12",
        f"  - https://conda.host/t/{TOKEN}/channel",
        f"https://conda.host/t/{TOKEN}",
        f"https://me:{TOKEN}@host/simple",
    ],
)
def test_a_url_shows_no_token_to_who_doesnt_know_it(line: str) -> None:
    shown = redact(f"{line!r} is not a package", ())
    assert TOKEN not in shown
    assert "host" in shown


def test_a_token_in_a_path_is_hidden_and_another_one_is_another_line() -> None:
    line = "name @ https://dl.host/Ab3dE5fG7hI9jK1l/org/name-1.0-py3-none-any.whl"
    (hidden,), values = hide([line])
    assert "Ab3dE5" not in hidden
    assert expanded(hidden, values) == line
    assert hide([line.replace("Ab3", "Xy3")]).lines != (hidden,)
    assert hide([line.replace("dE5fG7hI9jK1l", "b3")]).values == {}, "digests"


def test_two_tokens_for_one_place_stay_two() -> None:
    lines = [f"git+https://{who}@host/name@v1" for who in ("first-token", "second-token")]
    hidden, values = hide(lines)
    assert [expanded(line, values) for line in hidden] == lines


def test_a_users_own_variables_are_found() -> None:
    assert variables(["git+https://${A_B}:${C1}@host/x", "$D ${e}"]) == {"A_B", "C1"}
    assert expanded("${A}-${B}", {"A": "1"}) == "1-${B}"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:pw@host/simple", "https://host/simple"),
        ("https://host/simple?token=1", "https://host/simple"),
        ("https://dl.host/a1b2c3d4e5f6a7b8/org/simple/", "https://dl.host/****/org/simple/"),
        ("https://download.pytorch.org/whl/cu121", "https://download.pytorch.org/whl/cu121"),
        ("https://host/repository/internal-python-packages/simple", None),
        ("https://host/wheels-for-gpus-2025/simple", None),
        ("https://host/company_internal_pypi_v2/simple", None),
        ("https://host/3f2504e0-4f89-11d3-9a0c-0305e82c3301/simple", "https://host/****/simple"),
        ("https://host/Ab3_dE5f-Gh7iJ9kLmN0/simple", "https://host/****/simple"),
    ],
)
def test_an_index_is_shown_without_what_may_change(url: str, shown: str | None) -> None:
    assert masked(url) == (shown or url)


@given(
    st.text("abcdefghijklmnopqrstuvwxyz0123456789_-.~", min_size=5, max_size=40),
    st.sampled_from(["https", "http", "git+https"]),
)
def test_no_userinfo_survives(token: str, scheme: str) -> None:
    line = f"{scheme}://user:Q{token}@example.com/name"
    assert f"Q{token}" not in hide([line]).lines[0]
    assert f"Q{token}" not in redact(line, ())


def test_encoded_and_decoded_passwords_are_hidden() -> None:
    found = secrets_of(["https://me:p%40ssw%2Ford@host/"])
    assert redact("said p@ssw/ord and p%40ssw%2Ford", found) == "said **** and ****"
