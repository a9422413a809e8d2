"""Credentials of every kind reach the store as they reach boto3; who has MFA is asked once."""

from __future__ import annotations

import getpass
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path

import pytest
from botocore import credentials as botocore_credentials

from dask_knot.aws.credentials import sign_in
from dask_knot.aws.session import AwsSession, open_aws_session
from dask_knot.aws.sharing import anonymous_session, shared_aws_session
from dask_knot.errors import CredentialsError, StoreAwayError
from dask_knot.run import opening
from dask_knot.run.store import Store
from tests.run.fakes3 import Asked, FakeS3, Reply, refusal, serving

LATER = "%Y-%m-%dT%H:%M:%SZ"


def ending(seconds: float) -> str:
    """Write when something ends, as AWS does."""
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).strftime(LATER)


@pytest.fixture
def fake() -> Iterator[FakeS3]:
    """Serve S3, and STS."""
    with serving() as found:
        yield found


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fake: FakeS3) -> Path:
    """Give an empty home, in a world of which all is the fake."""
    names = ("PROFILE", "SESSION_TOKEN", "REGION", "DEFAULT_REGION", "CA_BUNDLE", "CONFIG_FILE")
    for name in (*names, "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SHARED_CREDENTIALS_FILE"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", fake.url)
    monkeypatch.setattr(opening, "RETRIES", {"max_retries": 0, "retry_timeout": opening.CONNECT})
    (tmp_path / ".aws").mkdir()
    return tmp_path


def configure(home: Path, text: str) -> None:
    """Write the configuration."""
    (home / ".aws" / "config").write_text(text)


def store_of(session: AwsSession) -> Store:
    """Open a store as the engine does."""
    return Store("s3://data", **session.store_options("s3://data"))


def program(home: Path, key: str, seconds: float) -> None:
    """Let a program give a key that ends."""
    said = {"Version": 1, "AccessKeyId": key, "SecretAccessKey": "s", "SessionToken": "t"}
    (home / "said.json").write_text(json.dumps({**said, "Expiration": ending(seconds)}))
    code = f"print(open({str(home / 'said.json')!r}).read())"
    (home / "program.py").write_text(code)
    configure(
        home,
        f"[profile lab]\nregion = eu-west-1\ncredential_process = {sys.executable} "
        f"{home / 'program.py'}\n",
    )


def test_a_program_is_asked_again_before_its_keys_end(home: Path, fake: FakeS3) -> None:
    program(home, "FIRST", 60)
    with closing(open_aws_session("lab")) as session:
        ask = session.store_options("s3://data")["credential_provider"]
        first = ask()
        assert first["access_key_id"] == "FIRST"
        # Not until the last moment: what is signed has to get there.
        assert first["expires_at"] < datetime.now(timezone.utc) + timedelta(seconds=31)
        program(home, "SECOND", 3600)
        assert ask()["access_key_id"] == "SECOND"
        program(home, "THIRD", 3600)
        assert ask()["access_key_id"] == "SECOND"
        store_of(session).get("a")
        assert fake.last.key == "SECOND"


def test_a_program_that_fails_says_so(home: Path) -> None:
    program(home, "FIRST", 60)
    with closing(open_aws_session("lab")) as session:
        store = store_of(session)
        (home / "program.py").write_text("raise SystemExit('the card is locked')")
        with pytest.raises(StoreAwayError, match="the card is locked") as found:
            store.get("a")
    assert "Debug source" not in str(found.value)
    assert "External" not in str(found.value)


SIGNED_IN = "arn:aws:sts::123456789012:assumed-role/me"


def aws_login(home: Path, key: str, seconds: float) -> None:
    """Do what `aws login` does."""
    configure(home, f"[profile lab]\nregion = eu-west-1\nlogin_session = {SIGNED_IN}\n")
    folder = home / ".aws" / "login" / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    token = {
        "accessToken": {
            "accessKeyId": key,
            "secretAccessKey": "s",
            "sessionToken": "t",
            "accountId": "123456789012",
            "expiresAt": ending(seconds),
        },
        "refreshToken": "r",
        "dpopKey": "k",
        "clientId": "c",
    }
    (folder / f"{sha256(SIGNED_IN.encode()).hexdigest()}.json").write_text(json.dumps(token))


needs_login = pytest.mark.skipif(
    not hasattr(botocore_credentials, "LoginProvider"), reason="this botocore has no `aws login`"
)


@needs_login
def test_aws_login(home: Path, fake: FakeS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botocore_credentials, "EC", object())  # awscrt, to renew with
    aws_login(home, "SIGNED-IN", 3600)
    with closing(open_aws_session("lab")) as session:
        store_of(session).get("a")
    assert fake.last.key == "SIGNED-IN"


@needs_login
def test_aws_login_without_the_part_that_it_needs(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(botocore_credentials, "EC", None)
    aws_login(home, "SIGNED-IN", 3600)
    with pytest.raises(CredentialsError, match=r"pip install 'botocore\[crt\]'"):
        open_aws_session("lab")


def test_a_sign_in_that_ends_in_the_midst(home: Path, fake: FakeS3) -> None:
    program(home, "OLD", 3600)
    fake.reply = lambda asked: refusal("ExpiredToken", status=400) if asked.key == "OLD" else None
    with closing(open_aws_session("lab")) as session:
        store = store_of(session)
        with pytest.raises(StoreAwayError, match="have expired"):
            store.get("a")
        program(home, "NEW", 3600)
        with pytest.raises(StoreAwayError, match="have expired"):
            store.get("a")  # looks for others
        assert session.store_options("s3://data")["credential_provider"]()["access_key_id"] == "NEW"


MFA = (
    "[profile base]\naws_access_key_id = BASE\naws_secret_access_key = s\n"
    "[profile lab]\nregion = eu-west-1\nrole_arn = arn:aws:iam::123456789012:role/lab\n"
    "source_profile = base\nmfa_serial = arn:aws:iam::123456789012:mfa/me\n"
)


def sts(asked: Asked) -> Reply | None:
    """Give a session for a role to who asks STS for one."""
    if asked.method != "POST":
        return None
    body = (
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASSUMED</AccessKeyId>"
        f"<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>"
        f"{ending(3600)}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    )
    return 200, body, {}


class Person:
    """Somebody at a terminal, who types a code when asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def isatty(self) -> bool:
        """Say that it is a terminal."""
        return True

    def type(self, prompt: str) -> str:
        """Type a code."""
        assert threading.current_thread() is threading.main_thread()
        self.asked.append(prompt)
        return "123456"


@pytest.fixture
def person(home: Path, fake: FakeS3, monkeypatch: pytest.MonkeyPatch) -> Person:
    """Seat somebody with a profile that wants codes."""
    configure(home, MFA)
    fake.reply = sts
    found = Person()
    monkeypatch.setattr(sys, "stdin", found)
    monkeypatch.setattr(getpass, "getpass", lambda prompt: found.type(prompt))
    return found


def test_a_code_is_asked_for_once_and_kept(person: Person, fake: FakeS3, home: Path) -> None:
    sign_in("lab")
    assert len(person.asked) == 1
    opened: list[AwsSession] = []
    thread = threading.Thread(target=lambda: opened.append(open_aws_session("lab")))
    thread.start()
    thread.join()
    with closing(opened[0]) as session:
        store_of(session).get("a")
        assert not session.renew()
    assert fake.last.key == "ASSUMED"
    assert len(person.asked) == 1
    # Where AWS's command line looks for it, for its owner's eyes only.
    (kept,) = (home / ".aws" / "cli" / "cache").glob("*.json")
    assert kept.stat().st_mode & 0o077 == 0


def test_a_thread_asks_nobody(person: Person) -> None:
    errors: list[Exception] = []

    def open_it() -> None:
        try:
            open_aws_session("lab")
        except CredentialsError as error:
            errors.append(error)

    thread = threading.Thread(target=open_it)
    thread.start()
    thread.join()
    assert "aws sts get-caller-identity --profile lab" in str(errors[0])
    assert person.asked == []


def test_nobody_sits_there(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Person, "isatty", lambda _: False)
    with pytest.raises(CredentialsError, match="which can't be entered here"):
        sign_in("lab")
    assert person.asked == []


def test_profiles_without_codes_ask_nobody_and_keep_nothing(person: Person, home: Path) -> None:
    configure(home, MFA.partition("mfa_serial")[0])
    sign_in("lab")
    with closing(open_aws_session("lab")) as session:
        store_of(session).get("a")
    assert person.asked == []
    assert not (home / ".aws" / "cli").exists()


def test_one_session_for_all_that_ask_alike(
    home: Path, fake: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(home, "FIRST", 3600)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    first = shared_aws_session("lab")
    assert shared_aws_session("lab") is first
    assert shared_aws_session("lab", "eu-north-1") is not first
    anonymous = anonymous_session("lab")
    assert anonymous is not first
    assert anonymous_session("lab") is anonymous  # each task that opens open data asks
    assert shared_aws_session("lab") is first
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    assert shared_aws_session("lab") is not first


def test_a_job_gets_its_credentials_from_its_container(
    home: Path, fake: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ECS gives a relative address on a host of its own; a whole one says the same."""
    given = iter([("FIRST", 1), ("SECOND", 3600)])

    def reply(asked: Asked) -> Reply | None:
        if not asked.path.startswith("/v2/credentials"):
            return None
        key, seconds = next(given)
        said = {"AccessKeyId": key, "SecretAccessKey": "s", "Token": "t"}
        return 200, json.dumps({**said, "Expiration": ending(seconds)}), {}

    fake.reply = reply
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{fake.url}/v2/credentials/a")
    (home / "token").write_text("t")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(home / "token"))
    store = Store("s3://data")
    # Credentials that end at once are kept for a moment, so that not all threads ask for others.
    for _ in range(10_000):
        store.get("a")
        if fake.last.key == "SECOND":
            break
    keys = [one.key for one in fake.asked if one.path.startswith("/data")]
    assert list(dict.fromkeys(keys)) == ["FIRST", "SECOND"]
