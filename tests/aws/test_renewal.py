"""Credentials that end and are renewed: a program that runs takes up the new ones by itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import SSOProvider

from dask_knot.aws.session import AwsSession, open_aws_session
from dask_knot.errors import CredentialsError, StoreAccessError, StoreAwayError
from dask_knot.run.store import Store
from dask_knot.session.outages import is_outage

START_URL = "https://lab.example/start"


class Gate:
    """An AWS that knows one access key, and says of all others that they have expired.

    Attributes
    ----------
    valid : str
        That key.
    code : str
        What is said of others.
    keys : list of str
        Those that came.
    """

    def __init__(self) -> None:
        self.valid = "OLD"
        self.code = "ExpiredTokenException"
        self.keys: list[str] = []
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                gate.answer(self)

            do_POST = do_PUT = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Let in, or refuse."""
        request.rfile.read(int(request.headers.get("content-length", 0)))
        if request.path.startswith("/federation/credentials"):
            self._send(request, 200, self._role())
            return
        key = request.headers["authorization"].partition("Credential=")[2].partition("/")[0]
        self.keys.append(key)
        if key == self.valid:
            is_s3 = request.path.startswith("/bucket")
            self._send(request, 200, "content" if is_s3 else json.dumps({"jobs": []}))
        elif request.path.startswith("/bucket"):
            self._send(request, 403, f"<Error><Code>{self.code}</Code></Error>")
        else:
            self._send(request, 403, json.dumps({"__type": self.code, "message": "no"}))

    def _role(self) -> str:
        expiry = datetime.now(timezone.utc) + timedelta(hours=1)
        role = {"accessKeyId": self.valid, "secretAccessKey": "s", "sessionToken": "t"}
        return json.dumps({"roleCredentials": role | {"expiration": expiry.timestamp() * 1000}})

    def _send(self, request: BaseHTTPRequestHandler, status: int, body: str) -> None:
        request.send_response(status)
        request.send_header("content-length", str(len(body)))
        request.end_headers()
        request.wfile.write(body.encode())


@pytest.fixture
def gate() -> Iterator[Gate]:
    with closing(Gate()) as made:
        yield made


@pytest.fixture(autouse=True)
def home(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a home folder of its own, and nothing in the environment."""
    for name in ("PROFILE", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", gate.url)
    cache = tmp_path / ".aws" / "sso" / "cache"  # botocore finds its own when it is imported
    monkeypatch.setattr(SSOProvider, "_SSO_TOKEN_CACHE_DIR", str(cache))
    (tmp_path / ".aws").mkdir()
    for name in ("config", "credentials"):
        monkeypatch.setenv(
            f"AWS_{name.upper()}_FILE".replace("CREDENTIALS", "SHARED_CREDENTIALS"),
            str(tmp_path / ".aws" / name),
        )
    return tmp_path


def write_keys(home: Path, key: str) -> None:
    """Put keys where `aws configure` does."""
    lines = f"aws_access_key_id = {key}\naws_secret_access_key = s\naws_session_token = t"
    (home / ".aws" / "credentials").write_text(f"[default]\n{lines}\n")


def sign_in(home: Path, lasts: timedelta) -> None:
    """Do what `aws sso login` does."""
    (home / ".aws" / "config").write_text(
        f"[profile lab]\nsso_start_url = {START_URL}\nsso_region = eu-west-1\n"
        "sso_account_id = 123456789012\nsso_role_name = user\n"
    )
    cache = home / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    expires = (datetime.now(timezone.utc) + lasts).strftime("%Y-%m-%dT%H:%M:%SZ")
    token = {"startUrl": START_URL, "region": "eu-west-1", "accessToken": "x", "expiresAt": expires}
    (cache / f"{sha1(START_URL.encode()).hexdigest()}.json").write_text(json.dumps(token))


def store_of(session: AwsSession) -> Store:
    """Open a store as the engine does."""
    options = session.store_options("s3://bucket/prefix")
    return Store("s3://bucket/knot", **options)


def test_keys_in_a_file_are_read_again_when_they_are_refused(home: Path, gate: Gate) -> None:
    write_keys(home, "OLD")
    session = open_aws_session(region="eu-west-1").patient()
    batch = session.asking("batch")
    assert batch.describe_jobs(jobs=["a"])["jobs"] == []
    gate.valid = "NEW"
    with pytest.raises(CredentialsError, match=r"have expired.*sign in again"):
        batch.describe_jobs(jobs=["a"])
    write_keys(home, "NEW")
    assert batch.describe_jobs(jobs=["a"])["jobs"] == []
    assert session.asking("batch").describe_jobs(jobs=["a"])["jobs"] == []
    assert gate.keys == ["OLD", "OLD", "OLD", "NEW", "NEW"]


def test_the_store_takes_them_up_as_well(home: Path, gate: Gate) -> None:
    write_keys(home, "OLD")
    gate.code = "InvalidAccessKeyId"
    store = store_of(open_aws_session(region="eu-west-1").patient())
    assert bytes(store.get("a")) == b"content"
    gate.valid = "NEW"
    with pytest.raises(StoreAwayError, match="Sign in again") as found:
        store.get("a")
    assert is_outage(found.value)
    write_keys(home, "NEW")
    store.be_patient(30)
    assert bytes(store.get("a")) == b"content"


def test_what_is_no_matter_of_credentials_is_a_refusal(home: Path, gate: Gate) -> None:
    write_keys(home, "OLD")
    gate.valid, gate.code = "NOBODY", "AccessDenied"
    store = store_of(open_aws_session(region="eu-west-1").patient())
    write_keys(home, "NOBODY")
    with pytest.raises(StoreAccessError, match="Ask for the permission"):
        store.get("a")
    with pytest.raises(StoreAccessError):
        store.get("a")


def test_keys_that_work_are_kept_whatever_else_stands_in_the_file(home: Path, gate: Gate) -> None:
    write_keys(home, "OLD")
    session = open_aws_session(region="eu-west-1").patient()
    batch, store = session.asking("batch"), store_of(session)
    write_keys(home, "ANOTHER-ACCOUNT")
    batch.describe_jobs(jobs=["a"])
    store.get("a")
    assert set(gate.keys) == {"OLD"}


def test_keys_of_the_environment_too(monkeypatch: pytest.MonkeyPatch, gate: Gate) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "OLD")
    batch = open_aws_session(region="eu-west-1").patient().asking("batch")
    gate.valid = "NEW"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "NEW")  # in a notebook
    assert batch.describe_jobs(jobs=["a"])["jobs"] == []


def test_a_new_sign_in_is_taken_up(
    home: Path, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    sign_in(home, timedelta(hours=-1))
    session = open_aws_session(profile="lab", region="eu-west-1").patient()
    batch = session.asking("batch")
    for _ in range(3):
        with pytest.raises(CredentialsError, match="`aws sso login --profile lab`"):
            batch.describe_jobs(jobs=["a"])
    with pytest.raises(StoreAwayError, match="aws sso login --profile lab") as found:
        store_of(session).get("a")
    assert is_outage(found.value)
    assert not any("Traceback" in str(record.exc_text) for record in caplog.records)
    sign_in(home, timedelta(hours=8))
    assert batch.describe_jobs(jobs=["a"])["jobs"] == []
    assert bytes(store_of(session).get("a")) == b"content"
