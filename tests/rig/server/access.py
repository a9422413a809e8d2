"""Who a job is: credentials of its role, served as on a real host; and IAM for Batch."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import unescape

from botocore.credentials import Credentials as Signature
from moto.batch.models import batch_backends
from moto.iam import access_control
from moto.sts.models import sts_backends

from tests.rig.server import batch

ACCOUNT = "123456789012"
PREFIX = "/rig/"
TOKEN_PATH = "/var/run/rig/token"


class Credentials:
    """Credentials for jobs, over HTTP.

    Parameters
    ----------
    endpoint : str
        Where this server answers.
    folder : Path
        Where the token that containers show is kept.
    """

    def __init__(self, endpoint: str, folder: Path) -> None:
        self._endpoint = endpoint
        self._token = secrets.token_hex(16)
        self._file = folder / "token"
        self._file.write_text(self._token)
        self._file.chmod(0o644)  # jobs aren't root
        self._roles: dict[str, str] = {}

    def for_job(self, job_id: str, role: str | None) -> tuple[dict[str, str], dict[str, Any]]:
        """Give the variables and volumes with which a container finds its credentials."""
        if role is None:
            return {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}, {}
        self._roles[job_id] = role
        environment = {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self._endpoint}{PREFIX}credentials/{job_id}",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": TOKEN_PATH,
        }
        return environment, {str(self._file): {"bind": TOKEN_PATH, "mode": "ro"}}

    def serve(self, application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        """Answer for `/rig/credentials/JOB` and `/rig/reclaim/JOB`; the rest is moto's."""

        def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            path = environ.get("PATH_INFO", "")
            if not path.startswith(PREFIX):
                return application(environ, start)
            what, _, job_id = path.removeprefix(PREFIX).partition("/")
            if what == "reclaim":
                return _answer(start, _reclaim(job_id))
            is_known = environ.get("HTTP_AUTHORIZATION") == self._token
            role = self._roles.get(job_id) if is_known else None
            return _answer(start, assume(role, job_id) if role else None)

        return answer


def _answer(start: Callable[..., Any], content: dict[str, Any] | None) -> Iterable[bytes]:
    start("200 OK" if content else "403 Forbidden", [("Content-Type", "application/json")])
    return [json.dumps(content or {"message": "no such job, or not its token"}).encode()]


def _reclaim(job_id: str) -> dict[str, Any] | None:
    job = batch.find(job_id)
    if job is None:
        return None
    job.is_reclaimed = True
    return {"jobId": job_id}


def assume(role: str, job_id: str) -> dict[str, Any]:
    """Give credentials of a role."""
    assumed = sts_backends[ACCOUNT]["aws"].assume_role(
        region_name="us-east-1",
        role_session_name=job_id.replace(":", "-"),
        role_arn=role,
        policy="",
        duration=3600,
        external_id="",
    )
    return {
        "RoleArn": role,
        "AccessKeyId": assumed.access_key_id,
        "SecretAccessKey": assumed.secret_access_key,
        "Token": assumed.session_token,
        "Expiration": assumed.expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def install() -> None:
    """Let IAM compare actions as AWS does, and ask of Batch all that its requests need."""
    statement = access_control.IAMPolicyStatement
    statement._match = staticmethod(_match)
    # What conditions are about (tags, services, prefixes) isn't known here: they hold.
    statement._check_conditions = lambda self, values: True
    check = access_control.IAMRequest.check_action_permitted

    def check_action_permitted(self: Any, resource: str) -> None:
        named = {"batch:submitjob": _submitted, "batch:registerjobdefinition": _registered}
        if self._action not in named:
            check(self, resource)
            return
        for action, each in named[self._action](self, json.loads(self._body or b"{}")):
            self._action = action
            check(self, each)

    access_control.IAMRequest.check_action_permitted = check_action_permitted
    make_key = access_control.create_access_key

    def create_access_key(account_id: str, access_key_id: str, **more: Any) -> Any:
        if access_key_id == Root.key:
            return Root()
        return make_key(account_id=account_id, access_key_id=access_key_id, **more)

    access_control.create_access_key = create_access_key
    _install_s3()


Asked = Iterator[tuple[str, str]]


def _submitted(request: Any, body: dict[str, Any]) -> Asked:
    """Give what SubmitJob asks for: to use a queue and a definition, and to tag the job."""
    backend = batch_backends[request.account_id][request._region]
    queue = backend.get_job_queue(body.get("jobQueue", ""))
    definition = backend.get_job_definition(body.get("jobDefinition", ""))
    for each in (queue, definition):
        yield "batch:SubmitJob", each.arn if each else "*"
    if body.get("tags"):
        yield "batch:TagResource", f"arn:aws:batch:{request._region}:{ACCOUNT}:job/*"


def _registered(request: Any, body: dict[str, Any]) -> Asked:
    """Give what RegisterJobDefinition asks for: to tag it, and to give roles to its jobs."""
    arn = f"arn:aws:batch:{request._region}:{ACCOUNT}:job-definition/{body['jobDefinitionName']}"
    yield "batch:RegisterJobDefinition", arn
    if body.get("tags"):
        yield "batch:TagResource", arn
    properties = body.get("containerProperties", {})
    for role in ("jobRoleArn", "executionRoleArn"):
        if role in properties:
            yield "iam:PassRole", properties[role]


def _install_s3() -> None:
    check_s3 = access_control.S3IAMRequest.check_action_permitted

    def check_s3_action_permitted(self: Any, resource: str) -> None:
        """Ask for each object of a DeleteObjects, as S3 does, not for the bucket."""
        is_many = self._action == "s3:DeleteObject" and "/" not in resource
        keys = re.findall(r"<Key>(.*?)</Key>", _text(self._body)) if is_many else []
        for each in [f"{resource}/{unescape(key)}" for key in keys] or [resource]:
            check_s3(self, each)
        if is_many and "<VersionId>" in _text(self._body):
            self._action = "s3:DeleteObjectVersion"
            check_s3(self, f"{resource}/*")

    access_control.S3IAMRequest.check_action_permitted = check_s3_action_permitted


class Root:
    """The account itself: it may do everything, also while permissions are checked."""

    key = "test"
    arn = f"arn:aws:iam::{ACCOUNT}:root"

    def create_credentials(self) -> Signature:
        """Give what its requests are signed with."""
        return Signature(self.key, self.key)

    def collect_policies(self) -> list[str]:
        """Give the policy that allows everything."""
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        return [json.dumps({"Version": "2012-10-17", "Statement": [everything]})]


def _text(body: bytes | str | None) -> str:
    return body.decode() if isinstance(body, bytes) else body or ""


def _match(pattern: str, text: str) -> re.Match[str] | None:
    """Compare with ``*`` and ``?``; the names of actions have no case, and moto lowers Batch's.

    A resource that moto doesn't tell is ``*``: it matches whatever a policy names.
    """
    if text == "*":
        pattern = "*"
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.match(f"^{expression}$", text, 0 if text.startswith("arn:") else re.IGNORECASE)
