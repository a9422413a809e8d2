"""A notebook with magics opens a cluster on the emulated AWS: jobs have what its cells import."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import dask_knot
from tests.end_to_end.containers import account, machine

__all__ = ["account", "machine"]

pytestmark = pytest.mark.timeout(300)

CELLS = (
    "%%capture\n%load_ext autoreload\n%autoreload 2\nimport iniconfig",
    "!echo one \\\n    two\nwords = !echo three\n%time import beside",
    "from distributed import Client\nfrom dask_knot import KnotCluster",
    "options = dict(engine='aws', jobs=1, memory='400 MiB', dashboard_address=None)\n"
    "cluster = KnotCluster(**options)\nclient = Client(cluster)",
    # Not below `%%time`, which swallows what is raised.
    "def look():\n"
    "    from importlib.metadata import version\n"
    "    import xmltodict\n"
    "    return iniconfig.__name__, version('xmltodict'), beside.ANSWER, words\n"
    "with open('found', 'w') as file:\n"
    "    print(*client.submit(look).result(), file=file)",
    "client.close()\ncluster.close()",
)


@pytest.mark.usefixtures("account")
def test_a_notebook_with_magics(
    job_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {"BASE": job_image, "NETWORK": "host", "PACKAGES": "auto"}
    for name, value in variables.items():
        monkeypatch.setenv(f"DASK_KNOT__BUILD__{name}", value)
    monkeypatch.setenv("PYTHONPATH", str(Path(dask_knot.__file__).parent.parent))
    monkeypatch.setenv("DASK_CONFIG", str(tmp_path / "config"))
    (tmp_path / "beside.py").write_text("ANSWER = 42\n")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    path = tmp_path / "a.ipynb"
    nbformat.write(book, path)
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))  # `xmltodict` comes in a later cell
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(book, timeout=200, iopub_timeout=60, resources=resources).execute()
    said = [
        "".join(output.get("text", "") for output in cell.get("outputs", ())) for cell in book.cells
    ]
    found = (tmp_path / "found").read_text()
    assert found == f"iniconfig {version('xmltodict')} 42 ['three']\n"
    assert "building " in said[3]
    assert "pushing " in said[3]
