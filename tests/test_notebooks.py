"""The examples as notebooks: as the scripts are, and they print what is right."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests import notebooks
from tests.examples import missing_programs, need
from tests.notebooks import EXAMPLES, names, notebook, path_of

#: Variables for a run of seconds, and what is printed then.
SMALL = {
    "array_mean": ({"side": 1000}, r"mean of x \+ x\.T: 1\.00\d{3}|mean of x \+ x\.T: 0\.99\d{3}"),
    "climatology": ({"years": 1}, r"(month +\d+: +-?\d+\.\d\d degrees\n){12}"),
    "close_the_laptop": ({"months": 3, "seconds": 0.001}, r"warmest is month 2 with 4\.\d\d deg"),
    "dmri": ({"subjects": 1, "side": 16}, r"white matter +0\.8\d\d +0\.[78]\d\d +0\.0"),
    "heat": ({"constraints": 4, "sides": [5]}, r"\n +5 +5 +\d+\.\d\d +\d\.\de-(08|09)"),
    "microscopy": ({"films": 1, "frames": 20}, r"ImageJ \S+ \d+ spots in 20 frames"),
    "pi": ({"tasks": 10}, r"pi ≈ 3\.1[34]"),
    "pipeline": ({"stations": 5}, r"warmest of 5 stations: number 4, [34]\.\d\d degrees"),
}


def test_every_example_has_a_notebook_that_runs() -> None:
    assert sorted(SMALL) == names()
    assert sorted(path.stem for path in (EXAMPLES / "notebooks").iterdir()) == names()


@pytest.mark.parametrize("name", names())
def test_a_notebook_is_as_its_script(name: str) -> None:
    assert path_of(name).read_text() == notebook(name), "run: python -m tests.notebooks"


@pytest.mark.parametrize("name", names())
def test_a_notebook_is_valid(name: str) -> None:
    nbformat.validate(nbformat.reads(path_of(name).read_text(), as_version=4))


SCRIPT = """\
\"\"\"A script.

It ends early.
\"\"\"

from __future__ import annotations

import argparse

#: Of the numbers.
FIRST = 1
SECOND = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--many-times", type=int, default=FIRST, help="how often")
    parser.add_argument("--loud", action="store_true")
    args = parser.parse_args()
    if args.many_times < 0:
        parser.error("too few")
    if args.loud:
        print("loud", args.many_times)
        return
    for _ in range(args.many_times):
        print("quiet")
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the path of an example that isn't one of ours."""
    monkeypatch.setattr(notebooks, "EXAMPLES", tmp_path)
    (tmp_path / "own.py").write_text(SCRIPT)
    return tmp_path / "own.py"


@pytest.mark.usefixtures("script")
def test_a_script_is_cut_into_cells() -> None:
    said, imports, constants, variables, rest = (
        "".join(cell["source"]) for cell in json.loads(notebook("own"))["cells"]
    )
    assert said.startswith("# A script\n\nIt ends early.\n\nAs a program: [`own.py`](../own.py)")
    assert imports.strip() == "from __future__ import annotations"
    assert constants == "#: Of the numbers.\nFIRST = 1\nSECOND = 2"
    assert variables == "many_times = FIRST  # how often\nloud = False"
    branches = 'if loud:\n    print("loud", many_times)\nelse:\n    for _ in range(many_times):\n'
    assert rest == branches + '        print("quiet")'


def test_what_a_cell_cannot_do_is_refused(script: Path) -> None:
    script.write_text(SCRIPT + "        return\n")
    with pytest.raises(ValueError, match="own: a cell can't return in the midst of 'for _ in"):
        notebook("own")


@pytest.mark.parametrize("name", names())
def test_a_notebook_prints_what_is_right(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need(name)
    if name == "microscopy" and missing_programs():
        pytest.skip(missing_programs())
    variables, expected = SMALL[name]
    assert re.search(expected, printed(name, variables, tmp_path, monkeypatch))


def printed(
    name: str, variables: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Run a notebook with other values of its variables, and give what its last cell prints."""
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    monkeypatch.setenv("DASK_KNOT__DASHBOARD_ADDRESS", ":0")
    # tqdm, which Dipy imports, would rather have widgets.
    monkeypatch.setenv("PYTHONWARNINGS", "ignore:IProgress not found")
    text = json.loads(notebook(name))
    [cell] = [one for one in text["cells"] if one["metadata"].get("tags") == ["parameters"]]
    known = set(re.findall(r"^\w+", "".join(cell["source"]), re.MULTILINE))
    assert known >= variables.keys()
    cell["source"] += [f"\n{key} = {value!r}" for key, value in variables.items()]
    book = nbformat.reads(json.dumps(text), as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(book, timeout=100, resources=resources).execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", ())]
    streams = [output for output in outputs if output["output_type"] == "stream"]
    others = [output for output in outputs if output not in streams]
    # The progress bar is a display.
    assert {output["output_type"] for output in others} <= {"display_data"}
    assert [output["text"] for output in streams if output["name"] != "stdout"] == []
    return "".join(output["text"] for output in streams)
