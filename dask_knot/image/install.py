"""Runs pip in the build of an image, with secrets that are there for this one command only.

This file is copied into images, and runs there: it knows no other of this package. The secrets come
as a file that BuildKit mounts, or in a variable that no engine keeps (``secrets.py`` says why).
"""

from __future__ import annotations

import base64
import json
import netrc
import os
import shutil
import site
import ssl
import subprocess
import sys
import sysconfig
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

MOUNTED = Path("/run/secrets/dask-knot")
VARIABLE, MARK = "FTP_PROXY", "dask-knot:"
#: In memory, so that not even a killed build leaves it on a disk.
IN_MEMORY = Path("/dev/shm")
#: Who asks for certificates under which name.
TRUST = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")


def main(arguments: list[str]) -> int:
    """Run ``pip install`` with these arguments; give its exit code."""
    secrets = opened(os.environ)
    place = str(IN_MEMORY) if os.access(IN_MEMORY, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(dir=place))  # for its owner only
    try:
        environment = prepared(secrets, folder, os.environ)
        pip = [sys.executable, "-m", "pip", "install", "--no-cache-dir", *arguments]
        code = run(pip, environment, secrets.get("words", ()))
        forget(secrets.get("environment", {}))
        return code
    finally:
        shutil.rmtree(folder)


def run(command: Sequence[str], environ: Mapping[str, str], words: Sequence[str]) -> int:
    """Run a command; print what it prints, without secrets: logs of builds are kept.

    pip hides passwords of indexes, but not those of requirements, nor what stands behind a ``?``.
    """
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, env=environ, **options) as process:
        assert process.stdout is not None
        for line in process.stdout:
            for word in words:
                line = line.replace(word.encode(), b"****")
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
    return process.returncode


def opened(environ: Mapping[str, str], mounted: Path = MOUNTED) -> dict[str, Any]:
    """Read the secrets; nothing if there are none."""
    text = mounted.read_text() if mounted.exists() else environ.get(VARIABLE, "")
    if not text.startswith(MARK):
        return {}
    found: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(text[len(MARK) :])))
    return found


def prepared(
    secrets: Mapping[str, Any], folder: Path, environ: Mapping[str, str]
) -> dict[str, str]:
    """Write the files that pip and git read, and give the variables that name them."""
    made = {name: value for name, value in environ.items() if not value.startswith(MARK)}
    made |= {"PIP_NO_INPUT": "1", "GIT_TERMINAL_PROMPT": "0"}  # nobody is there to answer
    made |= secrets.get("environment", {})
    for name, content in secrets.get("files", {}).items():
        file = folder / name
        file.write_text(content)
        made[name] = str(file)
    if "NETRC" in secrets.get("files", {}):
        made |= _git_logins(folder / "NETRC", made)
    if secrets.get("certificates"):
        bundle = folder / "certificates.pem"
        bundle.write_text("\n".join([*_trusted_already(made), secrets["certificates"]]))
        made |= dict.fromkeys(TRUST, str(bundle))
    return made


def _git_logins(file: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Tell git what it would read from a netrc, which it looks for in the home only."""
    made, count = {}, int(environ.get("GIT_CONFIG_COUNT", "0"))
    for host, (login, _, password) in netrc.netrc(str(file)).hosts.items():
        who = f"{quote(login, safe='')}:{quote(password or '', safe='')}"
        made[f"GIT_CONFIG_KEY_{count}"] = f"url.https://{who}@{host}/.insteadOf"
        made[f"GIT_CONFIG_VALUE_{count}"] = f"https://{host}/"
        count += 1
    return {**made, "GIT_CONFIG_COUNT": str(count)}


def _trusted_already(environ: Mapping[str, str]) -> Iterator[str]:
    """Give what is trusted without us: by the image's system, and by its pip."""
    paths = ssl.get_default_verify_paths()
    files = {environ.get(paths.openssl_cafile_env), paths.cafile, paths.openssl_cafile}
    packages = Path(sysconfig.get_path("purelib"))
    known = ["/etc/ssl/certs/ca-certificates.crt", packages / "pip/_vendor/certifi/cacert.pem"]
    for name in sorted({str(file) for file in (*files, *known) if file}):
        if Path(name).is_file():
            yield Path(name).read_text(errors="replace")


def forget(values: Mapping[str, str]) -> None:
    """Take secrets out of what pip has noted of where a package came from.

    pip leaves out who asked, but not what stands behind a ``?``.
    """
    folders = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), site.USER_SITE or ""}
    secret = [value for name, value in values.items() if not name.startswith("PIP_")]
    for folder in folders:
        for file in Path(folder).glob("*.dist-info/direct_url.json"):
            text = file.read_text()
            for value in secret:
                text = text.replace(value, "****")
            if text != file.read_text():
                file.write_text(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
