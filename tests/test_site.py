"""The documentation site: it builds without a warning, and whatever a page links to is there."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import dask_knot
from dask_knot import errors
from tests.browser import CHROMIUM, look

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
#: Pages that Sphinx makes itself.
GENERATED = {"search"}
WORDS_OF_PAGES = ("memory", "laptop", "manifest")
PHONE = 390


class Page(HTMLParser):
    """What a page links to, shows, and can be linked to at."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.images: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag says."""
        known = {name: value or "" for name, value in attrs}
        if "id" in known:
            self.ids.add(known["id"])
        if tag == "a" and "href" in known:
            self.links.add(known["href"])
        if tag == "img" and "src" in known:
            self.images.add(known["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site, with warnings as errors."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d"]
    command += [str(folder / "doctrees"), str(DOCS), str(folder / "html")]
    built = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert built.returncode == 0, built.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    """Read all pages, by the name of the file."""
    return {path.name: Page(path) for path in site.glob("*.html")}


def broken(pages: dict[str, Page], site: Path) -> Iterator[str]:
    """List links within the site, and images, that lead nowhere."""
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = pages.get(unquote(parts.path) or name)
            there = target is not None or (site / unquote(parts.path)).is_file()
            anchor = unquote(parts.fragment) if target else ""
            if not there or (target and anchor and anchor not in target.ids):
                yield f"{name}: {link}"
        for image in page.images:
            if not urlsplit(image).scheme and not (site / unquote(image)).is_file():
                yield f"{name}: {image}"


@pytest.mark.timeout(600)
def test_links_and_images_of_the_built_pages_are_there(site: Path, pages: dict[str, Page]) -> None:
    assert sum(len(page.links) for page in pages.values()) > 1000
    assert list(broken(pages, site)) == []


def test_the_test_would_notice_a_broken_link(tmp_path: Path) -> None:
    text = '<h1 id="a"></h1><a href="#a">1</a><a href="#b">2</a><a href="x.html">3</a><img src="y">'
    (tmp_path / "one.html").write_text(text)
    pages = {"one.html": Page(tmp_path / "one.html")}
    expected = ["one.html: #b", "one.html: x.html", "one.html: y"]
    assert sorted(broken(pages, tmp_path)) == expected


@pytest.mark.timeout(600)
def test_every_page_is_in_the_table_of_contents(site: Path, pages: dict[str, Page]) -> None:
    written = {path.stem for kind in ("md", "ipynb") for path in DOCS.glob(f"*.{kind}")}
    assert written == {name.removesuffix(".html") for name in pages} - GENERATED
    menu = re.findall(r'toctree-l\d[^>]*>\s*<a[^>]*href="([^"#]+)\.html"', _menu(site))
    assert set(menu) == written - {"index"}
    assert len(menu) == len(set(menu))  # once each


def _menu(site: Path) -> str:
    """Give the sidebar of a page that is in it, where its own entry has another address."""
    text = (site / "search.html").read_text()
    return text[text.index('class="bd-links') :]


@pytest.mark.timeout(600)
def test_every_public_name_is_on_the_api_page(pages: dict[str, Page]) -> None:
    names = {f"dask_knot.{name}" for name in dask_knot.__all__}
    names |= {
        f"dask_knot.errors.{name}"
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.KnotError)
    }
    assert names - pages["api.html"].ids == set()


@pytest.mark.timeout(600)
def test_what_pages_call_of_a_cluster_is_on_the_api_page(pages: dict[str, Page]) -> None:
    text = "".join(path.read_text() for path in [*DOCS.glob("*.md"), ROOT / "README.md"])
    called = set(re.findall(r"\bcluster\.([a-z]\w+)\(", text))
    assert len(called) > 8
    known = {name.rpartition(".")[2] for name in pages["api.html"].ids if "KnotCluster." in name}
    assert called - known == set()


@pytest.mark.timeout(600)
def test_links_to_files_of_the_repository_lead_to_its_main_branch(pages: dict[str, Page]) -> None:
    start = "https://github.com/dask-knot/dask_knot/"
    shown = {link for page in pages.values() for link in page.links if link.startswith(start)}
    files = {re.sub(r"(blob|tree|edit)/main/|#.*", "", one.removeprefix(start)) for one in shown}
    files = {one for one in files if not re.match(r"(issues|security|$)", one)}
    assert "examples/pi.py" in files
    assert {one for one in files if not (ROOT / one).exists()} == set()


@pytest.mark.timeout(600)
def test_no_page_shows_the_markup_it_is_written_in(site: Path) -> None:
    markup = re.compile(r"<p>(\.\. [a-z:-]+::|:::|\{[a-z-]+\})")
    shown = {path.name for path in site.glob("*.html") if markup.search(path.read_text())}
    assert shown == set()
    assert "cmdoption" in (site / "command-line.html").read_text()


def test_the_pictures_are_what_their_script_draws() -> None:
    drawn: dict[str, str] = runpy.run_path(str(DOCS / "pictures.py"))["pictures"]()
    assert {path: (DOCS / path).read_text() for path in drawn} == drawn
    assert len(drawn) == 9


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium to look at the pages with")
@pytest.mark.timeout(600)
def test_no_page_scrolls_sideways_on_a_phone_and_the_search_finds(
    site: Path, pages: dict[str, Page], tmp_path: Path
) -> None:
    searches = [f"search.html?q={word}" for word in WORDS_OF_PAGES]
    seen = look(site, [*sorted(pages), *searches], PHONE, tmp_path)
    assert {name: one["width"] for name, one in seen.items() if one["width"] > PHONE} == {}
    assert {name for name in searches if not seen[name]["found"]} == set()


def test_the_test_would_notice_a_wide_page(tmp_path: Path) -> None:
    if not CHROMIUM:
        pytest.skip("there is no Chromium to look at the page with")
    start = '<!doctype html><meta name="viewport" content="width=device-width">'
    (tmp_path / "wide.html").write_text(f'{start}<div style="width: 500px">wide</div>')
    (tmp_path / "narrow.html").write_text(f"{start}narrow")
    seen = look(tmp_path, ["wide.html", "narrow.html"], PHONE, tmp_path / "profile")
    assert seen["wide.html"]["width"] > 500 > PHONE == seen["narrow.html"]["width"]
