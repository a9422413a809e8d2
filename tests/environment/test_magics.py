"""Cells with what only IPython understands."""

from __future__ import annotations

import pytest

from dask_knot.environment.magics import without_magics
from dask_knot.environment.sources import parse
from dask_knot.environment.syntax import imported


def names(cell: str) -> list[str]:
    found = parse(cell)
    assert found.trouble == ""
    return sorted(name.dotted for tree in found.trees for name in imported(tree))


@pytest.mark.parametrize(
    "cell",
    [
        "%%time\nimport numpy",
        "%%capture --no-stderr out\nimport numpy",
        "%%capture\n%%time\nimport numpy",
        "%%timeit -n 1 -r 1\nimport numpy",
        "%%timeit import numpy\nnumpy.ones(3)",
        "\n  \n%%time\nimport numpy",
        "%%unknown_to_us\nimport numpy",
        "%load_ext autoreload\n%autoreload 2\nimport numpy",
        "%matplotlib inline\nimport numpy",
        "%time import numpy",
        "%timeit -n 10 -r3 -o import numpy",
        "%env A=1\n%cd ..\nimport numpy",
        "numpy.mean?\nimport numpy",
        "?numpy\nnumpy.ma??\n??print\nimport numpy",
        "%timeit?\nimport numpy",
        "!pip install numpy\nimport numpy",
        "!pip install \\\n    numpy \\\n    scipy\nimport numpy",
        "%pip install numpy \\\n    scipy\nimport numpy",
        "%conda install numpy\nimport numpy",
        "files = !ls *.py\nimport numpy",
        "a, b = %magic x\nimport numpy",
        "x[0] = !ls\nimport numpy",
        "!!ls\nimport numpy",
        "if True:\n    !ls\n    import numpy",
        "for x in y:\n    %time f(x)\nimport numpy",
        "text = '''\nwhat?\n'''\n%magic\nimport numpy",
        "x = [1,  # why?\n     2]\n%magic\nimport numpy",
        "x = (5\n     % 3)\n!ls\nimport numpy",
        "x = a != b\n!ls\nimport numpy",
        "def f():\n    ...\n!ls\nimport numpy",
        "await f()\nasync with g() as h:\n    import numpy",
        "%time await f()\nimport numpy",
        ">>> import numpy\n>>> def f():\n...     return 1",
        "In [1]: import numpy\n   ...: x = 1",
        "# %% a cell\nimport numpy\n# %%\n%matplotlib inline\n!ls",
        "%%writefile a.py\nimport foreign",
        "%%bash\nimport foreign",
        "%%R\nlibrary(foreign)",
        "%%html\n<p>what?</p>",
        "%%cython\ncimport foreign",
    ],
)
def test_a_cell_is_read(cell: str) -> None:
    is_python = "foreign" not in cell and "</p>" not in cell
    assert names(cell) == (["numpy"] if is_python else [])


def test_pylab_imports_two() -> None:
    assert names("%pylab inline") == ["matplotlib", "numpy"]


def test_files_that_run_in_the_session_are_named() -> None:
    cell = "%run -i one.py\n%run 'two.ipynb' 3\n%run no_ending\nimport a"
    assert without_magics(cell)[1] == ("one.py", "two.ipynb")


def test_lines_keep_their_numbers() -> None:
    cell = "%%time\n!pip install \\\n   a\n%time import b\nc?\nfor"
    assert without_magics(cell)[0].split("\n") == ["", "pass", "", "import b", "pass", "for"]
    assert "line 6" in parse(cell).trouble
