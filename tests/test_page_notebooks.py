"""The notebooks of the site run, and what they show there is what they'd show today."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from tests import pages
from tests.examples import need

pytestmark = pytest.mark.timeout(300)

#: Variables for a run of seconds, where the page has some.
SMALL: dict[str, dict[str, object]] = {
    "diffusion-mri": {"subjects": 1, "side": 16},
    "paper-figures": {"counts": [4], "sides": [5], "borders": [16], "simulated_sides": [10]},
    "ten-minutes": {},
}
#: What is true of each, whatever else it prints.
RIGHT = {
    "diffusion-mri": r"white matter +0\.8\d\d +0\.[78]\d\d +0\.0",
    "paper-figures": r"dask_knot +4 +10 +\d+\.\d\d\n",
    "ten-minutes": r"variance 0\.93\n",
}
#: What Dask says of a machine that has much else to do.
BUSY = (
    "2026-11-29 17:16:17,740 - distributed.nanny - WARNING - "
    "Worker process still alive after 4.0 seconds, killing\n"
)
MACHINE = re.compile(r"(?<![\w.…/])/(?!home/ada\b)(tmp|work|root|home|Users)/|\.venv\b")


def test_every_page_is_executed() -> None:
    assert pages.names() == sorted([*SMALL, pages.IN_RIG])


@pytest.mark.parametrize("name", pages.names())
def test_a_page_is_stored_as_it_would_be_written(name: str) -> None:
    book = pages.read(name)
    nbformat.validate(book)
    assert pages.as_text(name, book) == pages.path_of(name).read_text(), (
        f"run: python -m tests.pages {name}"
    )


@pytest.mark.parametrize("name", pages.names())
def test_definitions_of_examples_are_those_of_today(name: str) -> None:
    book, filled = pages.read(name), pages.read(name)
    pages.fill(filled)
    assert [cell.source for cell in book.cells] == [cell.source for cell in filled.cells]


@pytest.mark.parametrize("name", pages.names())
def test_every_cell_was_executed_in_order(name: str) -> None:
    cells = [cell for cell in pages.read(name).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert any(cell.outputs for cell in cells)


@pytest.mark.parametrize("name", pages.names())
def test_only_what_is_meant_to_fail_has_failed(name: str) -> None:
    for cell in pages.read(name).cells:
        failed = any(output.output_type == "error" for output in cell.get("outputs", ()))
        assert failed == ("raises-exception" in cell.metadata.get("tags", ())), cell.source


@pytest.mark.parametrize("name", pages.names())
def test_nothing_of_the_machine_is_stored(name: str) -> None:
    outputs = [output for cell in pages.read(name).cells for output in cell.get("outputs", ())]
    found = [MACHINE.search(text) for output in outputs for text in texts(output)]
    assert [one[0] for one in found if one] == []


def texts(output: NotebookNode) -> list[str]:
    """Give what can be read of an output."""
    data = output.get("data", {})
    shown = [text for kind, text in data.items() if kind.startswith("text/")]
    return [output.get("text", ""), *output.get("traceback", ()), *shown]


@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_page_shows_what_is_stored(name: str, tmp_path: Path) -> None:
    if name == "diffusion-mri":
        need("dmri")
    book = pages.read(name)
    if SMALL[name]:
        pages.set_variables(book, SMALL[name])
    pages.execute(name, book, tmp_path)
    assert pages.kinds(book) == pages.kinds(pages.read(name))
    printed = [
        text for cell in book.cells for one in cell.get("outputs", ()) for text in texts(one)
    ]
    assert re.search(RIGHT[name], "".join(printed))


def test_what_is_stored_is_what_a_reader_sees(tmp_path: Path) -> None:
    new = nbformat.v4.new_output
    outputs = [
        new("stream", name="stdout", text="pip looks into /opt/x, a folder\n 10 %\r100 %\n"),
        new("display_data", data={"text/plain": "dask_knot 0:19  98 of 100 tasks"}),
        new("stream", name="stderr", text="careful\n" + BUSY),
        new("stream", name="stdout", text=f"\x1b[1min {tmp_path}/data\x1b[0m\n"),
        new("display_data", data={"text/plain": "dask_knot is no line that moves"}),
        new("execute_result", data={"text/plain": "tcp://127.0.0.1:4042"}),
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x", outputs=outputs)])
    pages.clean(book, tmp_path)
    [cell] = book.cells
    assert [texts(output)[0] for output in cell.outputs[:2]] == [
        "100 %\nin /home/ada/data\n",
        "careful\n",
    ]
    assert [output.data["text/plain"] for output in cell.outputs[2:]] == [
        "dask_knot is no line that moves",
        "tcp://127.0.0.1:…",
    ]


def test_long_texts_are_shortened(tmp_path: Path) -> None:
    lines = [f"{number}\n" for number in range(100)]
    output = nbformat.v4.new_output("stream", name="stdout", text="".join(lines))
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x", outputs=[output])])
    pages.clean(book, tmp_path)
    shown = book.cells[0].outputs[0].text.splitlines(True)
    assert shown == [*lines[:8], "[… 86 more lines …]\n", *lines[-6:]]


def test_variables_that_a_page_has_not_are_refused() -> None:
    with pytest.raises(ValueError, match="no variables of the page: \\['heads'\\]"):
        pages.set_variables(pages.read("diffusion-mri"), {"heads": 1})
