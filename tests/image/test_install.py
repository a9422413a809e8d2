"""The program that runs pip in a build: what it hands on, and that nothing is left of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dask_knot.image import install
from dask_knot.image.secrets import BuildSecrets

SECRETS = BuildSecrets(
    environment={"PIP_INDEX_URL": "https://me:pw@a/", "KNOT_SECRET_1": "t0k3n"},
    files={"NETRC": "machine host login m@e password p/w\n", "PIP_CLIENT_CERT": "key"},
    certificates="-----BEGIN CERTIFICATE-----\nours\n-----END CERTIFICATE-----\n",
)


def test_secrets_come_as_a_mount_or_as_a_variable(tmp_path: Path) -> None:
    mounted = tmp_path / "dask-knot"
    assert install.opened({}, mounted) == {}
    assert install.opened({"FTP_PROXY": "http://a.proxy:21"}, mounted) == {}
    by_variable = install.opened(SECRETS.arguments(), mounted)
    (content,) = SECRETS.mounted().values()
    mounted.write_bytes(content)
    assert install.opened({}, mounted) == by_variable
    assert by_variable["environment"]["KNOT_SECRET_1"] == "t0k3n"
    assert BuildSecrets().mounted() == BuildSecrets().arguments() == {}


def test_pip_and_git_find_them_where_they_look(tmp_path: Path) -> None:
    opened = install.opened(SECRETS.arguments())
    environ = {**SECRETS.arguments(), "PATH": "/bin", "PIP_INDEX_URL": "https://image/"}
    made = install.prepared(opened, tmp_path, environ)
    assert "FTP_PROXY" not in made
    assert made["PIP_INDEX_URL"] == "https://me:pw@a/"
    assert made["PATH"] == "/bin"
    assert Path(made["PIP_CLIENT_CERT"]).read_text() == "key"
    assert made["GIT_CONFIG_KEY_0"] == "url.https://m%40e:p%2Fw@host/.insteadOf"
    assert made["GIT_CONFIG_VALUE_0"] == "https://host/"
    for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO", "SSL_CERT_FILE"):
        trusted = Path(made[name]).read_text()
        assert "ours" in trusted
        assert trusted.count("BEGIN CERTIFICATE") > 10, "and all that was trusted before"


def test_nothing_is_changed_where_there_are_no_secrets(tmp_path: Path) -> None:
    made = install.prepared({}, tmp_path, {"A": "1", "FTP_PROXY": "http://a:21"})
    assert made == {
        "A": "1",
        "FTP_PROXY": "http://a:21",
        "PIP_NO_INPUT": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }
    assert [*tmp_path.iterdir()] == []


def test_what_pip_noted_of_an_origin_forgets_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tmp_path / "a-1.0.dist-info/direct_url.json"
    note.parent.mkdir()
    note.write_text(json.dumps({"url": "https://a/a.whl?sig=t0k3n"}))
    monkeypatch.setattr(install.sysconfig, "get_path", lambda name: str(tmp_path))
    install.forget({"KNOT_SECRET_1": "sig=t0k3n", "PIP_TIMEOUT": "1"})
    assert json.loads(note.read_text()) == {"url": "https://a/a.whl?****"}


def test_what_pip_prints_has_no_secret(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    text = "Collecting a @ https://me:t0k3n@a/a.whl?sig=s1gned"
    program = [sys.executable, "-c", f"import sys; print({text!r}); sys.exit('no s1gned')"]
    words = install.opened(
        BuildSecrets(words=frozenset({"me:t0k3n", "s1gned", "me"}), files={"A": "b"}).arguments()
    )["words"]
    assert install.run(program, {}, words) == 1
    printed = capfdbinary.readouterr().out
    assert {*printed.splitlines()} == {b"Collecting a @ https://****@a/a.whl?sig=****", b"no ****"}


def test_it_runs_by_itself_and_leaves_pips_exit_code() -> None:
    program = [sys.executable, "-I", install.__file__]  # with no package of ours on the path
    good = subprocess.run([*program, "--help"], capture_output=True, text=True, check=False)
    assert good.returncode == 0
    assert "pip install" in good.stdout
    bad = subprocess.run([*program, "--nonsense"], capture_output=True, check=False)
    assert bad.returncode == 2
