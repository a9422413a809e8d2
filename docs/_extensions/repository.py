"""Links of pages to files of the repository that are no pages: to their place on the web.

Pages link to ``../dask_knot/errors.py``, as is right where the repository itself is read. On the
site such a link leads to the file on the repository's main branch. Pages that include a file from
elsewhere (the changelog, the benchmarks) have its links as they are seen from there, and links to
such a file lead to its page.

A link to a file that isn't there is a warning; the site is built with warnings as errors.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

logger = logging.getLogger(__name__)

#: A Markdown link or image, up to its target's end, if that is relative.
RELATIVE = re.compile(r"(\]\()(?![a-z]+:|#|/)([^)\s#]+)")
FENCE = re.compile(r"^(?: {0,3})(```+|~~~+)")


def from_docs(text: str, folder: Path, docs: Path) -> str:
    """Write the relative links of a file in a folder as a page in ``docs`` would."""
    lines, fence = [], ""
    for line in text.splitlines(keepends=True):
        if found := FENCE.match(line):
            fence = "" if fence and found[1].startswith(fence) else fence or found[1]
        elif not fence:
            line = RELATIVE.sub(lambda link: link[1] + _relative(folder / link[2], docs), line)
        lines.append(line)
    return "".join(lines)


def _relative(path: Path, docs: Path) -> str:
    return Path(os.path.relpath(path, docs)).as_posix()


def _rewrite_included(app: Sphinx, path: Path, parent: str, content: list[str]) -> None:
    folder = (app.srcdir / path).resolve().parent
    if folder != Path(app.srcdir).resolve():
        content[0] = from_docs(content[0], folder, Path(app.srcdir).resolve())


class RepositoryLinks(SphinxTransform):
    """Turn links to files and folders outside of the pages into links to the repository."""

    default_priority = 5  # before Sphinx collects what is to be downloaded

    def apply(self, **options: Any) -> None:
        """Look at each link that MyST took for a download, or couldn't place."""
        kinds = (addnodes.download_reference, addnodes.pending_xref)
        for node in list(self.document.findall(lambda node: isinstance(node, kinds))):
            if node.get("reftype") != "myst":
                continue
            if node.get("refdomain") != "doc":
                target, _, fragment = unquote(node["reftarget"]).partition("#")
                self._turn(node, target, fragment)
            elif node["reftarget"] not in self.env.found_docs:  # Markdown that is no page
                self._turn(node, f"/{node['reftarget']}.md", node.get("reftargetid") or "")

    def _turn(self, node: nodes.Element, target: str, fragment: str) -> None:
        if not target:  # an anchor of this page: MyST's own
            return
        _, absolute = self.env.relfn2path(target, self.env.docname)
        root = Path(self.config.repository_root).resolve()
        path = Path(absolute).resolve()
        if not path.exists() or not path.is_relative_to(root):
            logger.warning("link to what isn't there: %s", target, location=node)
            return
        place = path.relative_to(root).as_posix()
        if page := self.config.repository_pages.get(place):
            node.replace_self(_link_to_page(node, page, fragment))
            return
        kind = "tree" if path.is_dir() else "blob"
        url = f"{self.config.repository_url}/{kind}/{self.config.repository_branch}/{place}"
        url += f"#{fragment}" if fragment else ""
        node.replace_self(nodes.reference("", "", *node.children, refuri=url, internal=False))


def _link_to_page(node: nodes.Element, page: str, fragment: str) -> nodes.Element:
    return addnodes.pending_xref(
        "",
        *node.children,
        refdomain="doc",
        reftype="myst",
        reftarget=page,
        reftargetid=fragment or None,
        refdoc=node["refdoc"],
        refexplicit=True,
    )


def setup(app: Sphinx) -> dict[str, Any]:
    """Register what is done with links."""
    app.add_config_value("repository_root", None, "env")
    app.add_config_value("repository_url", "", "env", types=[str])
    app.add_config_value("repository_branch", "main", "env", types=[str])
    app.add_config_value("repository_pages", {}, "env", types=[dict])
    app.add_transform(RepositoryLinks)
    app.connect("include-read", _rewrite_included)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
