"""Where packages come from here, and what a build can reach of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dask_knot.environment.certificates import own_certificates
from dask_knot.environment.indexes import CERTIFICATES, Sources, find_sources
from dask_knot.errors import ImageError

#: Nothing of this machine's.
NOTHING = {"PIP_CONFIG_FILE": os.devnull}


def found(tmp_path: Path, *options: str, hosts: tuple[str, ...] = (), **environ: str) -> Sources:
    return find_sources(options, hosts, {**NOTHING, **environ}, tmp_path)


@pytest.mark.parametrize(
    ("line", "attribute", "value"),
    [
        ("--index-url https://a/simple", "index", "https://a/simple"),
        ("--index-url=https://a/?b=c", "index", "https://a/?b=c"),
        ("-i https://a/", "index", "https://a/"),
        ("-ihttps://a/", "index", "https://a/"),
        ("--extra-index-url 'https://me:${KEY}@a/'", "extra", ("https://me:k1@a/",)),
        ("--find-links https://a/links", "links", ("https://a/links",)),
        ("-f https://a/links", "links", ("https://a/links",)),
        ("--trusted-host a:8080", "trusted", ("a:8080",)),
        ("--no-index", "no_index", True),
    ],
)
def test_options_of_a_file_of_requirements(
    line: str, attribute: str, value: object, tmp_path: Path
) -> None:
    assert getattr(found(tmp_path, line, KEY="k1"), attribute) == value


@pytest.mark.parametrize("line", ["--index-url", "--config-settings a", "-z b"])
def test_other_options_are_refused(line: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"can't be followed.*--extra-index-url"):
        found(tmp_path, line)


def test_files_variables_and_lines_add_up(tmp_path: Path) -> None:
    sources = found(
        tmp_path,
        "--extra-index-url https://c/",
        PIP_INDEX_URL="https://a/",
        PIP_EXTRA_INDEX_URL="https://b/ https://c/",
        PIP_TIMEOUT="9",
    )
    assert sources.urls == ("https://a/", "https://b/", "https://c/")
    assert sources.on_the_way == {"timeout": "9"}


def test_proxies_by_either_spelling_and_pips_own_first(tmp_path: Path) -> None:
    told = {"https_proxy": "http://p:1", "HTTPS_PROXY": "http://q:1", "NO_PROXY": "a,b"}
    assert found(tmp_path, **told).proxies == {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a,b"}
    pips = found(tmp_path, PIP_PROXY="http://me:secret@r:1", **told)
    assert pips.proxies["HTTPS_PROXY"] == "http://me:secret@r:1"
    assert "secret" in pips.secrets
    assert "secret" not in repr([pips, pips.shown])


def test_a_proxy_without_a_scheme_is_one(tmp_path: Path) -> None:
    told = {"https_proxy": "me:s3cr3t@proxy:3128", "http_proxy": "127.0.0.1:3128"}
    sources = found(tmp_path, NO_PROXY="localhost,.example.com", **told)
    assert "s3cr3t" in sources.secrets
    kept, lost = sources.reachable(from_container=True)
    assert lost == ("http://127.0.0.1:3128",)
    assert kept.proxies == {
        "HTTPS_PROXY": "http://me:s3cr3t@proxy:3128",
        "NO_PROXY": "localhost,.example.com",
    }


def test_a_netrc_is_read_for_those_hosts_only_that_are_asked(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text(
        'machine a login me password "p w"\nmachine b login you password 2\n'
        "machine bank login rich password 3\n"
    )
    sources = found(tmp_path, "-i https://a:8080/simple", hosts=("b", "none"))
    assert sources.netrc == ('machine a login me password "p w"\nmachine b login you password 2\n')
    assert found(tmp_path).netrc == ""


def test_a_damaged_netrc_is_said_without_its_words(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("machine a login me passwort s3cr3t-w0rd\n")
    with pytest.raises(ImageError, match=r"mine can't be read.*NETRC") as caught:
        found(tmp_path, "-i https://a/", NETRC=str(tmp_path / "mine"))
    assert "s3cr3t" not in str(caught.value)


def test_what_is_on_this_machine_only_is_left_out_and_named(tmp_path: Path) -> None:
    sources = Sources(
        index="file:///wheels",
        extra=("https://a/", "http://localhost:3141/simple", "http://me:pw@127.0.0.1/"),
        links=("/folder", "./here"),
        proxies={"HTTP_PROXY": "http://localhost:3128", "HTTPS_PROXY": "http://proxy:3128"},
    )
    kept, lost = sources.reachable(from_container=True)
    assert kept.urls == ("https://a/",)
    assert kept.proxies == {"HTTPS_PROXY": "http://proxy:3128"}
    assert lost[:3] == ("file:///wheels", "/folder", "./here")
    assert len(lost) == 6
    kept, lost = sources.reachable(from_container=False)
    assert len(kept.urls) == 3
    assert kept.proxies == sources.proxies


BLOCK = b"-----BEGIN CERTIFICATE-----\nbWFkZSB1cA==\n-----END CERTIFICATE-----"


def test_only_certificates_of_ones_own_are_carried(tmp_path: Path) -> None:
    import certifi

    bundle = tmp_path / "company.pem"
    bundle.write_bytes(Path(certifi.where()).read_bytes() + b"# ours\n" + BLOCK + b"\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "same.crt").write_bytes(BLOCK.replace(b"\n", b"\r\n"))
    (folder / "readme.txt").write_bytes(BLOCK)
    places = [str(bundle), str(folder), str(tmp_path / "gone")]
    assert own_certificates(places).split() == BLOCK.split()
    assert own_certificates([certifi.where()]) == b""


@pytest.mark.parametrize("variable", CERTIFICATES)
def test_every_variable_of_certificates_is_looked_at(variable: str, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(BLOCK)
    assert BLOCK in found(tmp_path, **{variable: str(tmp_path / "ca.pem")}).certificates


def test_a_client_certificate_that_is_gone_is_named(tmp_path: Path) -> None:
    (tmp_path / "me.pem").write_text("key")
    told = {"PIP_CLIENT_CERT": str(tmp_path / "me.pem")}
    assert found(tmp_path, **told).client_certificate == b"key"
    with pytest.raises(ImageError, match=r"client certificate /gone\.pem can't be read"):
        found(tmp_path, PIP_CLIENT_CERT="/gone.pem")
