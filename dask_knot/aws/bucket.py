"""Where a bucket is: boto3 is asked, by its own rules, so that the store goes where boto3 goes.

Nothing is sent. The request that boto3 would send for an object of the bucket is stopped when it
is ready, and its URL read: partition, PrivateLink, dual stack, FIPS, accelerated and directory
buckets, access points, `s3 =` and `services` sections of ``~/.aws/config``, whatever comes later.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlsplit
from urllib.request import getproxies

from dask_knot.aws.clientconfig import regional
from dask_knot.aws.credentials import core_of
from dask_knot.errors import ConfigurationError
from dask_knot.extras import extra
from dask_knot.run.address import BucketAddress, certificates_in

with extra():
    import boto3
    from botocore import UNSIGNED
    from botocore.awsrequest import AWSResponse
    from botocore.compat import HTTPHeaders
    from botocore.config import Config
    from botocore.httpsession import where
    from botocore.utils import get_environ_proxies

_KEY = "key"


class _Nothing:
    """The body of an answer that nobody has sent."""

    def stream(self, *_: Any, **__: Any) -> Any:
        return iter(())

    def read(self, *_: Any) -> bytes:
        return b""


def find_address(boto: boto3.Session, config: Config, bucket: str, region: str) -> BucketAddress:
    """Find where boto3 sends the requests for a bucket.

    Parameters
    ----------
    boto : boto3.Session
        With its profile.
    config : botocore.config.Config
        What clients are made with.
    bucket : str
        The name of a bucket, or the alias of an access point.
    region : str
        Where the bucket is.

    Raises
    ------
    ConfigurationError
        If the store can't send its requests there.
    """
    if bucket.startswith("arn:"):
        raise ConfigurationError(
            f"s3://{bucket}: give an access point's alias instead (it ends with -s3alias); "
            "it works like a bucket name"
        )
    url = _url_of(boto, config, bucket, region)
    parts = urlsplit(url)
    start = f"{parts.scheme}://{parts.netloc}"
    path = parts.path.removesuffix(f"/{_KEY}")
    named = f"/{quote(bucket)}"
    is_virtual = not path.endswith(named)
    certificates = certificates_of(boto) if parts.scheme == "https" else ""
    return BucketAddress(
        bucket,
        region,
        start + (path if is_virtual else path.removesuffix(named)),
        is_virtual,
        bucket.endswith("--x-s3"),
        certificates,
    )


def _url_of(boto: boto3.Session, config: Config, bucket: str, region: str) -> str:
    found: list[str] = []

    def stop(request: Any, **_: Any) -> AWSResponse:
        found.append(str(request.url))
        return AWSResponse(request.url, 200, HTTPHeaders(), _Nothing())

    # Unsigned: where it goes doesn't depend on who asks, and nobody is asked for credentials.
    unsigned = regional(config).merge(Config(signature_version=UNSIGNED))
    client = cast(Any, boto).client("s3", region_name=region, config=unsigned)
    client.meta.events.register_first("before-send.s3.HeadObject", stop)
    client.head_object(Bucket=bucket, Key=_KEY)
    client.close()
    return found[0]


def certificates_of(boto: boto3.Session) -> str:
    """Read the certificates that boto3 trusts beyond its own: `AWS_CA_BUNDLE`, or `ca_bundle`.

    Raises
    ------
    ConfigurationError
        If there is no such file, or no certificate in it.
    """
    named = core_of(boto).get_config_variable("ca_bundle")
    return read_certificates(str(named)) if named else ""


def usual_certificates() -> str:
    """Read the certificates that boto3 brings along: every machine trusts them."""
    return certificates_in(Path(where()).read_text("utf-8", "replace"))


def read_certificates(path: str) -> str:
    """Read a file of certificates, and see that it is one.

    Raises
    ------
    ConfigurationError
        If there is no such file, or no certificate in it.
    """
    try:
        text = certificates_in(Path(path).expanduser().read_text("utf-8", "replace"))
        if not text:
            raise ValueError("there is none in it")
        ssl.create_default_context(cadata=text)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigurationError(
            f"AWS_CA_BUNDLE (or ca_bundle of the profile) names {path}, which isn't a "
            f"readable certificate file ({error}). Set it to a file in PEM format"
        ) from error
    return text


def proxies_for(endpoint: str) -> dict[str, str]:
    """Give the proxy that botocore takes for an endpoint, or none, in the words of obstore.

    The two read ``NO_PROXY`` by rules of their own, and obstore alone ``ALL_PROXY``: botocore
    counts.
    """
    parts = urlsplit(endpoint)
    proxy = get_environ_proxies(endpoint).get(parts.scheme)
    if proxy:
        return {"proxy_url": proxy if "://" in proxy else f"http://{proxy}"}
    if not getproxies():
        return {}
    # With one that is taken for nothing, obstore looks for no other.
    return {
        "proxy_url": f"{parts.scheme}://{parts.netloc}",
        "proxy_excludes": parts.hostname or "",
    }
