"""Which of the packages that are installed here provides a module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.machinery import EXTENSION_SUFFIXES

from dask_knot.environment import distributions

#: Packages that have another name than their module, and that everybody means by it.
KNOWN = {
    "attr": "attrs",
    "Bio": "biopython",
    "bs4": "beautifulsoup4",
    "Crypto": "pycryptodome",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "fitz": "PyMuPDF",
    "git": "GitPython",
    "jwt": "PyJWT",
    "OpenSSL": "pyOpenSSL",
    "PIL": "pillow",
    "pkg_resources": "setuptools",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}
SUFFIXES = (".py", *EXTENSION_SUFFIXES)


def providers_of(dotted: str, tops: Mapping[str, set[str]]) -> set[str]:
    """Name the packages that have a module.

    Several packages share the first name of a namespace (``google``, ``azure``): those are meant
    that have the module itself, or the longest part of its name that is one.

    Parameters
    ----------
    dotted : str
        The module, or something that it has: ``google.cloud.storage.Client``.
    tops : mapping of str to set of str
        The packages of each first name, as `distributions.by_module` gives them.
    """
    parts = dotted.split(".")
    sharing = tops.get(parts[0], set())
    files = {name: _files(name) for name in sharing}
    # Of what doesn't say its files (an editable project, an old egg) all modules are taken.
    unknown = {name for name, paths in files.items() if not any(_inside(paths, parts[0]))}
    known = {name: paths for name, paths in files.items() if name not in unknown}
    for length in range(len(parts), 0, -1):
        path = "/".join(parts[:length])
        having = {name for name, paths in known.items() if _is_module(path, paths)}
        if not having and length == len(parts):  # a namespace itself
            having = {name for name, paths in known.items() if any(_inside(paths, path))}
        if having:
            return having
    return unknown


def _files(name: str) -> set[str]:
    package = distributions.find(name)
    return {file.as_posix() for file in (package.files if package else None) or ()}


def _inside(paths: set[str], folder: str) -> Iterator[bool]:
    return (True for path in paths if path.startswith((f"{folder}/", f"{folder}.")))


def _is_module(path: str, paths: set[str]) -> bool:
    return any(f"{path}{end}" in paths or f"{path}/__init__{end}" in paths for end in SUFFIXES)
