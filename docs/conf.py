"""How the documentation site is built: ``sphinx-build -W docs docs/_build/html``.

The theme is sphinx-book-theme, the base of dask-sphinx-theme: that one loads Dask's own visitor
statistics and navigation bar, which aren't ours to use, and has no dark mode.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_extensions")]

import dask_knot  # noqa: E402

project = "dask_knot"
author = "dask_knot developers"
copyright = "dask_knot developers"
version = release = dask_knot.__version__

extensions = [
    "myst_nb",
    "repository",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build", "**/.ipynb_checkpoints"]

# Where the files are that pages link to and that are no pages.
repository_root = HERE.parent
repository_url = "https://github.com/dask-knot/dask_knot"
repository_branch = "main"
repository_pages = {
    "CHANGELOG.md": "changes",
    "CONTRIBUTING.md": "contributing",
    "benchmarks/README.md": "benchmarks",
}

highlight_language = "text"  # of blocks that name none

# MyST and notebooks: these are shown as they were executed; a test executes them.
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 4
nb_execution_mode = "off"
nb_merge_streams = True

# The API, from docstrings in NumPy's style.
autodoc_class_signature = "mixed"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autosummary_generate = False
default_role = "py:obj"  # `close` in a docstring links to it, where that is clear
napoleon_google_docstring = False
napoleon_use_rtype = False

# What is copied of a shell session are its commands, and of a Python one its statements.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

smartquotes_action = "qe"  # two hyphens begin an option

html_theme = "sphinx_book_theme"
html_title = "dask_knot"
html_use_index = False  # the API page has all names, and the search finds them
html_domain_indices = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_theme_options = {
    "logo": {"text": "dask_knot"},
    "navbar_persistent": [],  # the search field is in the sidebar
    "repository_url": repository_url,
    "repository_branch": repository_branch,
    "path_to_docs": "docs",
    "use_repository_button": True,
    "use_issues_button": True,
    "use_edit_page_button": True,
    "use_download_button": False,
    "show_toc_level": 2,
    "show_navbar_depth": 1,
    "home_page_in_toc": False,
}


def can_reach(host: str) -> bool:
    """Tell whether the inventories of other projects can be had; without, names are plain text."""
    try:
        socket.create_connection((host, 443), timeout=2).close()
    except OSError:
        return False
    return True


if os.environ.get("READTHEDOCS") or can_reach("docs.python.org"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "dask": ("https://docs.dask.org/en/stable", None),
        "distributed": ("https://distributed.dask.org/en/stable", None),
    }


def without_text_of_module(
    app: object, what: str, name: str, item: object, options: object, lines: list[str]
) -> None:
    """Leave out the text at the top of a module: the page about it says what readers need."""
    if what == "module":
        lines.clear()


def setup(app: Any) -> None:
    """Connect what pages go through."""
    app.connect("autodoc-process-docstring", without_text_of_module)
