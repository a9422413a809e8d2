"""A tiny S3 that notes what is asked; as a proxy it stands for every S3 there is, with TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes
    ----------
    method, host, path : str
        The host without a port; the path with its query.
    headers : mapping of str to str
        By names in small letters.
    """

    method: str
    host: str
    path: str
    headers: dict[str, str]
    size: int = 0

    @property
    def key(self) -> str:
        """The access key that has signed it, or nothing."""
        signed = self.headers.get("authorization", "")
        return signed.partition("Credential=")[2].partition("/")[0]


#: Status, body and headers of an answer; None for the usual one.
Reply = tuple[int, str, dict[str, str]]
OBJECT = {"ETag": '"1"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
SESSION = (
    "<CreateSessionResult><Credentials><SessionToken>t</SessionToken><SecretAccessKey>s"
    "</SecretAccessKey><AccessKeyId>EXPRESS</AccessKeyId><Expiration>2099-01-01T00:00:00Z"
    "</Expiration></Credentials></CreateSessionResult>"
)
UPLOAD = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
DONE = '<CompleteMultipartUploadResult><ETag>"1"</ETag></CompleteMultipartUploadResult>'


def refusal(code: str, message: str = "no", status: int = 403) -> Reply:
    """Make what S3 answers when it refuses."""
    return status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>", {}


@dataclass
class FakeS3:
    """What has been asked, and how it is answered.

    Attributes
    ----------
    asked : list of Asked
        All requests.
    reply : callable
        Answers one in another way than usual.
    rate : float, optional
        Bytes a second that it takes in.
    cuts : int
        Ends so many connections in the midst of an answer.
    url : str
        Its own address.
    """

    asked: list[Asked] = field(default_factory=list)
    reply: Callable[[Asked], Reply | None] = lambda _: None
    rate: float | None = None
    cuts: int = 0
    url: str = ""
    connections: set[Any] = field(default_factory=set)

    def hang_up(self) -> None:
        """End all connections, those that others keep for later included."""
        for one in list(self.connections):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    @property
    def last(self) -> Asked:
        """The last request for an object."""
        return [one for one in self.asked if "?session" not in one.path][-1]

    def answer(self, request: Asked) -> Reply:
        """Note a request, and answer it."""
        self.asked.append(request)
        return self.reply(request) or usual(request)


def usual(request: Asked) -> Reply:
    """Answer as an S3 in which every object is there."""
    if request.path.endswith("?session"):
        return 200, SESSION, {}
    if request.method == "POST":
        return 200, UPLOAD if "?uploads" in request.path else DONE, {}
    return 200, "" if request.method in ("PUT", "DELETE") else "content", OBJECT


class Authority:
    """Signs certificates for whatever name is asked for; nobody trusts it by himself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "The lab's own")])
        own = self._signed(self._name, self._key, x509.BasicConstraints(True, 0))
        self.file = folder / "authority.pem"
        # As many such files are: names between the certificates, in any letters.
        text = own.public_bytes(serialization.Encoding.PEM)
        self.file.write_bytes("# Prüfstelle\n".encode("latin-1") + text)
        self._contexts: dict[str, ssl.SSLContext] = {}

    def context(self, host: str) -> ssl.SSLContext:
        """Make what serves TLS as a host."""
        if host not in self._contexts:
            key = ec.generate_private_key(ec.SECP256R1())
            name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
            found = self._signed(name, key, x509.SubjectAlternativeName([x509.DNSName(host)]))
            file = self.folder / f"{len(self._contexts)}.pem"
            private = key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            file.write_bytes(private + found.public_bytes(serialization.Encoding.PEM))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(file)
            self._contexts[host] = context
        return self._contexts[host]

    def _signed(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType
    ) -> x509.Certificate:
        now, is_own = datetime.now(timezone.utc), isinstance(extension, x509.BasicConstraints)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=9))
            .add_extension(extension, critical=is_own)
            .sign(self._key, hashes.SHA256())
        )


class Handler(BaseHTTPRequestHandler):
    """Speaks HTTP: to who comes himself, through a proxy, or through a tunnel of one."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    fake: FakeS3
    authority: Authority | None
    tunnel = ""

    def setup(self) -> None:
        """Begin with a connection."""
        super().setup()
        self.fake.connections.add(self.connection)

    def finish(self) -> None:
        """End with it."""
        with suppress(OSError):
            super().finish()
        self.fake.connections.discard(self.connection)
        self.connection.close()

    def do_CONNECT(self) -> None:
        """Be the host that is asked for, in TLS."""
        if self.authority is None:
            self.send_error(403)
            return
        self.tunnel = self.path.rpartition(":")[0]
        self.send_response(200)
        self.end_headers()
        context = self.authority.context(self.tunnel)
        try:
            connection = context.wrap_socket(self.connection, server_side=True)
        except (ssl.SSLError, OSError):  # they don't trust it
            self.close_connection = True
            return
        self.fake.connections.discard(self.connection)
        self.fake.connections.add(connection)
        self.connection = connection
        self.rfile = cast(Any, connection.makefile("rb", -1))
        self.wfile = cast(Any, connection.makefile("wb", 0))
        self.close_connection = False

    def do_GET(self) -> None:
        """Answer."""
        url = urlsplit(self.path)
        size = self._take(int(self.headers.get("content-length", 0)))
        host = self.tunnel or url.hostname or self.headers["host"].partition(":")[0]
        path = self.path if not url.netloc else self.path.partition(url.netloc)[2]
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, host, path, headers, size)
        status, body, more = self.fake.answer(asked)
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            sent = body.encode()
            if self.fake.cuts and len(sent) > 1:
                self.fake.cuts -= 1
                sent = sent[: len(sent) // 2]
                self.close_connection = True
            self.wfile.write(sent)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    def _take(self, size: int) -> int:
        """Read what is sent, as slowly as the line is."""
        if self.fake.rate is None or not size:
            return len(self.rfile.read(size))
        pause, taken = threading.Event(), 0
        while taken < size:
            some = self.rfile.read(min(16_384, size - taken))
            if not some:
                break
            taken += len(some)
            pause.wait(len(some) / self.fake.rate)
        return taken

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Takes no offence at who goes away in the midst."""

    daemon_threads = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(authority: Authority | None = None) -> Iterator[FakeS3]:
    """Serve until the end of the block."""
    fake = FakeS3()
    handler = type("OneHandler", (Handler,), {"fake": fake, "authority": authority})
    server = Server(("127.0.0.1", 0), handler)
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        fake.hang_up()
        server.server_close()


def holding(content: str) -> Callable[[Asked], Reply | None]:
    """Answer as an S3 in which every object has the same content."""

    def answer(asked: Asked) -> Reply | None:
        if asked.method == "HEAD":
            return 200, content, OBJECT
        if asked.method != "GET" or "range" not in asked.headers:
            return None
        first, last = map(int, asked.headers["range"].removeprefix("bytes=").split("-"))
        last = min(last, len(content) - 1)
        said = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
        return 206, content[first : last + 1], OBJECT | said

    return answer


def refusing(replies: Sequence[tuple[Callable[[Asked], bool], Reply]]) -> Callable[[Asked], Any]:
    """Refuse what a rule finds wrong; let the rest through."""
    return lambda asked: next((reply for is_wrong, reply in replies if is_wrong(asked)), None)
