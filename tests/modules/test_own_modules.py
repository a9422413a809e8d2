"""Modules of the user's own are importable in a job, with all that they need, and nothing else."""

from __future__ import annotations

import enum
import importlib
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from markupsafe import _speedups

from dask_knot.modules import OwnModules
from dask_knot.run.bundle import Bundle, BundledFile, PathEntry, Precedence, built_for

from .journeys import Journey

TABLE = "a,b\n1,2\n"
READS = """\
from importlib import resources
from pathlib import Path
def read(): return (Path(__file__).parent / "table.csv").read_text()
def resource(): return resources.files(__package__).joinpath("table.csv").read_text()
"""


class TestWhatIsTaken:
    def test_a_module_beside_the_script(self, journey: Journey) -> None:
        journey.write("knot_helper.py", "def double(x): return 2 * x\n")
        assert journey.run(journey.take("knot_helper").double, 21) == 42
        assert not journey.said

    def test_a_package_with_relative_imports_and_data_files(self, journey: Journey) -> None:
        journey.write("knot_pkg/__init__.py", "from .inner import read, resource\n")
        journey.write("knot_pkg/inner/__init__.py", "from ..reading import read, resource\n")
        journey.write("knot_pkg/reading.py", READS)
        journey.write("knot_pkg/table.csv", TABLE)
        package = journey.take("knot_pkg")
        assert journey.run(package.read) == TABLE
        assert journey.run(package.resource) == TABLE

    def test_data_beside_a_module_that_names_them(self, journey: Journey) -> None:
        journey.write("knot_flat.py", READS + 'FOLDER = "more"\nALL = "*.toml"\n')
        journey.write("table.csv", TABLE)
        journey.write("more/deep/x.bin", b"\0")
        journey.write("more/__init__.py", "a part of it would hide the rest")
        journey.write("a.toml")
        journey.write("other.csv", "nobody names it")
        assert journey.run(journey.take("knot_flat").read) == TABLE
        assert journey.names() == {"knot_flat.py", "table.csv", "more/deep/x.bin", "a.toml"}

    def test_a_file_above_a_package(self, journey: Journey) -> None:
        source = "from pathlib import Path\nROOT = Path(__file__).parent.parent\n"
        read = "def f(): return (ROOT / 'a.toml').read_text(), (ROOT / 'deep/b.toml').read_text()\n"
        journey.write("knot_pkg/__init__.py", f"{source}{read}X = 'deep', '*.csv'\n")
        for name in ("a.toml", "deep/b.toml"):
            journey.write(name, name)
        journey.write("deep/others.csv")
        journey.write("others.csv")
        assert journey.run(journey.take("knot_pkg").f) == ("a.toml", "deep/b.toml")
        assert journey.names() == {"knot_pkg/__init__.py", "a.toml", "deep/b.toml"}

    def test_a_module_that_looks_for_no_files_gets_none(self, journey: Journey) -> None:
        journey.write("knot_flat.py", 'WORDS = ["table.csv", "results"]\n')
        journey.write("table.csv", TABLE)
        journey.write("results/large.bin")
        journey.take("knot_flat")
        assert journey.names() == {"knot_flat.py"}

    def test_a_namespace_package_in_two_folders(self, journey: Journey, tmp_path: Path) -> None:
        other = tmp_path / "other" / "knot_space" / "two.py"
        other.parent.mkdir(parents=True)
        other.write_text("def two(): return 2\n")
        sys.path.append(str(tmp_path / "other"))
        journey.write(
            "knot_space/one.py",
            "def both():\n  from knot_space import two\n  return 1 + two.two()\n",
        )
        assert journey.run(journey.take("knot_space.one").both) == 3

    def test_a_folder_that_a_text_happens_to_name(self, journey: Journey) -> None:
        journey.write("knot_flat.py", '"""Tells how to\nimport knot_data or knot_tools.\n"""\n')
        journey.write("knot_data/large.bin", "no module of anybody")
        journey.write("knot_tools/tool.py")
        journey.take("knot_flat")
        assert journey.names() == {"knot_flat.py"}
        journey.write("knot_data/loader.py")
        assert journey.names() == {"knot_flat.py", "knot_data/loader.py"}

    def test_circular_imports(self, journey: Journey) -> None:
        journey.write("knot_a.py", "import knot_b\ndef f(): return knot_b.g()\n")
        journey.write("knot_b.py", "import knot_a\ndef g(): return knot_a.__name__\n")
        assert journey.run(journey.take("knot_a").f) == "knot_a"

    @pytest.mark.parametrize(
        "line",
        [
            "import knot_lazy",
            "from knot_lazy import f",
            "import os, knot_lazy as other",
            "import os, \\\n      knot_lazy",
            "if True: import knot_lazy",
            "import importlib; importlib.import_module('knot_lazy')",
            "__import__('knot_lazy')",
        ],
    )
    def test_what_only_a_task_imports(self, journey: Journey, line: str) -> None:
        journey.write("knot_lazy.py", "import knot_deeper\ndef f(): return 1\n")
        journey.write("knot_deeper.py")
        journey.write("knot_first.py", f"def task():\n  {line}\n  return 5\n")
        assert journey.run(journey.take("knot_first").task) == 5
        assert journey.names() == {"knot_first.py", "knot_lazy.py", "knot_deeper.py"}

    def test_what_only_a_function_of_the_script_imports(self, journey: Journey) -> None:
        journey.write("knot_lazy.py", "def f(): return 1\n")
        journey.script("def task():\n    import knot_lazy\n    return knot_lazy.f()\n")
        assert journey.names() == {"knot_lazy.py"}

    def test_what_the_cells_of_a_notebook_import(self, journey: Journey) -> None:
        names = ("knot_cell", "knot_typed", "knot_method")
        for name in names:
            journey.write(f"{name}.py")

        typed = "class Kind:\n  def f(self):\n    def inner():\n      import knot_method\n"
        cells = ["", "%matplotlib inline\nimport knot_cell", "def f():\n  import knot_typed"]
        exec(typed, vars(journey.script(In=cells)))
        assert journey.names() == {f"{name}.py" for name in names}

    def test_the_client_gets_values_of_its_own_classes(self, journey: Journey) -> None:
        journey.write(
            "knot_kinds.py",
            "import enum\nclass Color(enum.Enum):\n  RED = 1\nclass Point:\n  pass\n"
            "def work(point, color):\n"
            "  assert isinstance(point, Point) and color is Color.RED\n"
            "  return point, color\n",
        )
        kinds = journey.take("knot_kinds")
        point, color = journey.run(kinds.work, kinds.Point(), kinds.Color.RED)
        assert type(point) is kinds.Point
        assert color is kinds.Color.RED
        assert isinstance(color, enum.Enum)

    def test_source_in_another_encoding(self, journey: Journey) -> None:
        text = "# -*- coding: latin-1 -*-\ndef umlaut():\n  import knot_lazy\n  return 'ä'\n"
        journey.write("knot_latin.py", text.encode("latin-1"))
        journey.write("knot_lazy.py")
        assert journey.run(journey.take("knot_latin").umlaut) == "ä"

    def test_a_part_of_a_package_that_can_not_be_parsed(self, journey: Journey) -> None:
        journey.write("knot_pkg/__init__.py", "def f(): return 1\n")
        journey.write("knot_pkg/python2.py", b"print 'hello \xff'\n")
        assert journey.run(journey.take("knot_pkg").f) == 1

    def test_a_compiled_module(self, journey: Journey) -> None:
        source = Path(_speedups.__file__)
        name = "_speedups"
        shutil.copy(source, journey.write("knot_c/__init__.py").parent / source.name)
        journey.write(
            "knot_c/use.py", f"def f():\n  from knot_c import {name}\n  return {name}.__file__\n"
        )
        assert source.name in journey.run(journey.take("knot_c.use").f)
        assert journey.bundle().platform == built_for()

    def test_a_program_in_a_package_can_be_executed(self, journey: Journey) -> None:
        journey.write("knot_tool/run.sh", "#!/bin/sh\necho done\n").chmod(0o700)
        journey.write(
            "knot_tool/__init__.py",
            "import subprocess\nfrom pathlib import Path\ndef f():\n"
            "  tool = Path(__file__).parent / 'run.sh'\n"
            "  return subprocess.check_output([str(tool)])\n",
        )
        assert journey.run(journey.take("knot_tool").f) == b"done\n"

    def test_a_zipped_app(self, journey: Journey) -> None:
        archive = journey.home / "app.pyz"
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr("knot_zipped/__init__.py", "import pkgutil\ndef f(): return data\n")
            zipped.writestr("knot_zipped/table.csv", TABLE)
            zipped.writestr(
                "knot_zipped/use.py",
                "import pkgutil\ndef f(): return pkgutil.get_data('knot_zipped', 'table.csv')\n",
            )
        sys.path.insert(0, str(archive))
        assert journey.run(journey.take("knot_zipped.use").f) == TABLE.encode()

    def test_links_lead_nowhere_twice(self, journey: Journey, tmp_path: Path) -> None:
        shared = tmp_path / "shared"
        shared.mkdir()
        (shared / "__init__.py").write_text("def f(): return 7\n")
        (shared / "again").symlink_to(shared)
        (shared / "broken").symlink_to(tmp_path / "nowhere")
        (shared / "above").symlink_to(tmp_path)
        (shared / "everything").symlink_to("/")
        (shared / "process").symlink_to("/proc/self")
        (shared / "system").symlink_to("/etc")
        (shared / "users").symlink_to("/etc/passwd")
        (shared / "home").symlink_to(Path.home())
        (shared / "packages").symlink_to(Path(pytest.__file__).parents[1])
        (journey.home / "knot_linked").symlink_to(shared)
        assert journey.run(journey.take("knot_linked").f) == 7
        assert journey.names() == {"knot_linked/__init__.py"}

    def test_a_folder_that_can_only_be_read(self, journey: Journey) -> None:
        journey.write("knot_fixed/__init__.py", "def f(): return 3\n")
        for folder in (journey.home / "knot_fixed", journey.home):
            folder.chmod(0o500)
        try:
            assert journey.run(journey.take("knot_fixed").f) == 3
        finally:
            journey.home.chmod(0o700)
            (journey.home / "knot_fixed").chmod(0o700)

    def test_a_module_under_another_name_than_its_file(self, journey: Journey) -> None:
        file = journey.write("elsewhere/some-file.py", "def f(): return 8\n")
        spec = importlib.util.spec_from_file_location("knot_named", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["knot_named"] = module
        spec.loader.exec_module(module)
        assert journey.run(journey.take("knot_named").f) == 8

    def test_a_folder_that_is_gone(
        self, journey: Journey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journey.write("knot_helper.py", "def double(x): return 2 * x\n")
        double = journey.take("knot_helper").double
        sys.path.insert(0, "")
        monkeypatch.chdir(tmp_path)
        (tmp_path / "gone").mkdir()
        os.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
        assert journey.run(double, 4) == 8

    def test_an_import_path_with_more_than_folders(self, journey: Journey) -> None:
        journey.write("knot_helper.py", "def double(x): return 2 * x\n")
        strange: list[Any] = [Path("/nowhere"), None, b"bytes", "/nowhere.zip", "", os.devnull]
        sys.path += strange
        assert journey.run(journey.take("knot_helper").double, 21) == 42
        assert not journey.said

    def test_a_folder_that_left_the_import_path(self, journey: Journey) -> None:
        journey.write("src/knot_src/__init__.py", "def f(): return 9\n")
        sys.path.insert(0, str(journey.home / "src"))
        module = journey.take("knot_src")
        sys.path.remove(str(journey.home / "src"))
        assert journey.run(module.f) == 9


class TestWhereItStands:
    def test_what_hides_a_module_hides_it_in_jobs(self, journey: Journey) -> None:
        journey.write("iniconfig.py", "def f(): return 'mine'\n")
        journey.forget("iniconfig")
        assert journey.run(journey.take("iniconfig").f) == "mine"

    @pytest.mark.parametrize(
        ("position", "expected"),
        [(0, Precedence.PYTHON), (None, Precedence.NOTHING)],
    )
    def test_before_or_behind_what_is_installed(
        self, journey: Journey, tmp_path: Path, position: int | None, expected: Precedence
    ) -> None:
        folder = tmp_path / "more"
        folder.mkdir()
        (folder / "knot_placed.py").write_text("")
        path = [one for one in sys.path if one != str(journey.home)]
        sys.path[:] = path
        sys.path.insert(len(path) if position is None else position, str(folder))
        journey.take("knot_placed")
        (entry,) = journey.bundle().entries
        assert entry.precedence is expected


class TestWhatStaysHere:
    def test_secrets_and_hidden_files(self, journey: Journey) -> None:
        journey.write("knot_pkg/__init__.py")
        journey.write("knot_pkg/secrets.py", "code is no secret")
        for name in (
            ".env",
            "prod.env",
            "id_rsa",
            "server.pem",
            "secrets.toml",
            ".aws/credentials",
        ):
            journey.write(f"knot_pkg/{name}", "hidden")
        journey.take("knot_pkg")
        assert journey.names() == {"knot_pkg/__init__.py", "knot_pkg/secrets.py"}
        told = "\n".join(journey.said)
        assert all(name in told for name in ("prod.env", "id_rsa", "server.pem", "secrets.toml"))
        count = len(journey.said)
        journey.bundle()
        assert len(journey.said) == count

    def test_many_secrets_are_one_line(self, journey: Journey) -> None:
        journey.write("knot_pkg/__init__.py")
        for number in range(9):
            journey.write(f"knot_pkg/{number}.pem")
        journey.take("knot_pkg")
        assert journey.names() == {"knot_pkg/__init__.py"}
        (line,) = journey.said
        assert "and 4 more" in line

    def test_what_is_of_others_or_made_anew(self, journey: Journey) -> None:
        journey.write("knot_pkg/__init__.py")
        for name in (
            *("__pycache__/a.pyc", ".git/HEAD", "node_modules/x/y.js", "venv/pyvenv.cfg"),
            *("venv/lib/x.py", "env/conda-meta/history", "knot.egg-info/PKG-INFO", "a.py~"),
        ):
            journey.write(f"knot_pkg/{name}")
        journey.take("knot_pkg")
        assert journey.names() == {"knot_pkg/__init__.py"}

    def test_more_than_may_travel(self, journey: Journey) -> None:
        journey.own = OwnModules(journey.modules, journey.said.append, most_bytes=2000)
        journey.write("knot_pkg/__init__.py", "#" * 900)
        journey.write("knot_pkg/small.csv", "#" * 100)
        large = journey.write("knot_pkg/large.csv", "#" * 5000)
        journey.take("knot_pkg")
        assert journey.names() == {"knot_pkg/__init__.py", "knot_pkg/small.csv"}
        (line,) = journey.said
        assert str(large) in line
        assert "modules-limit" in line

    def test_what_is_installed_or_of_python(self, journey: Journey) -> None:
        for name in ("json", "numpy", "dask", "dask_knot", "pytest"):
            journey.modules[name] = importlib.import_module(name)
        assert journey.own.look() is None

    def test_what_this_very_process_has_imported(self, journey: Journey) -> None:
        own = OwnModules(say=journey.said.append)
        journey.write("knot_mine.py")
        importlib.import_module("knot_mine")
        snapshot = own.look()
        assert snapshot is not None
        names = {file.name.partition("/")[2] for file in snapshot.files}
        assert {"knot_mine.py", "tests/modules/conftest.py"} <= names
        assert "dask_knot/__init__.py" not in names
        assert not journey.said

    def test_nothing_is_looked_for_without_modules(self, journey: Journey) -> None:
        journey.script("import numpy, json, no_such_module\n")
        assert journey.own.look() is None

    def test_an_editable_project_and_what_lies_beside_it(
        self, journey: Journey, tmp_path: Path
    ) -> None:
        source = tmp_path / "project" / "src"
        for name in ("knot_editable/__init__.py", "knot_stray.py"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_text("")
        info = tmp_path / "lib" / "site-packages" / "knot_editable-1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: knot-editable\nVersion: 1\n")
        (info / "RECORD").write_text("knot_editable.pth,,\nknot_editable-1.dist-info/RECORD,,\n")
        origin = {"url": (tmp_path / "project").as_uri(), "dir_info": {"editable": True}}
        (info / "direct_url.json").write_text(json.dumps(origin))
        (info.parent / "knot_editable.pth").write_text(f"{source}\n")
        sys.path[:0] = [str(source), str(info.parent)]
        journey.take("knot_editable")
        assert journey.own.look() is None

    def test_what_was_installed_beside(self, journey: Journey) -> None:
        journey.write("knot_vendored/__init__.py")
        journey.write("knot_vendored-1.dist-info/RECORD", "knot_vendored/__init__.py,,\n")
        journey.take("knot_vendored")
        assert journey.own.look() is None


class TestChanges:
    def test_an_edit_is_seen_and_nothing_else(self, journey: Journey) -> None:
        file = journey.write("knot_edited.py", "def f(): return 1\n")
        module = journey.take("knot_edited")
        first = journey.bundle()
        assert journey.own.look() == journey.own.look()
        assert journey.bundle().digest == first.digest
        file.write_text("def f(): return 2\n")
        importlib.reload(module)
        assert journey.run(module.f) == 2
        assert journey.bundle().digest != first.digest

    def test_a_file_that_was_touched_is_the_same_bundle(self, journey: Journey) -> None:
        file = journey.write("knot_edited.py", "def f(): return 1\n")
        journey.take("knot_edited")
        first = journey.bundle().digest
        os.utime(file, (1, 1))
        assert journey.bundle().digest == first

    def test_the_same_elsewhere_is_the_same_bundle(self, journey: Journey, tmp_path: Path) -> None:
        journey.write("knot_pkg/__init__.py", "X = 1\n")
        journey.take("knot_pkg")
        first = journey.bundle().digest
        shutil.move(journey.home, tmp_path / "moved")
        sys.path[:] = [
            str(tmp_path / "moved") if one == str(journey.home) else one for one in sys.path
        ]
        del sys.modules["knot_pkg"]
        importlib.invalidate_caches()
        journey.take("knot_pkg")
        assert journey.bundle().digest == first

    def test_a_module_that_comes_later(self, journey: Journey) -> None:
        journey.write("knot_first.py", "def task():\n  import knot_late\n  return knot_late.X\n")
        module = journey.take("knot_first")
        assert journey.names() == {"knot_first.py"}
        journey.write("knot_late.py", "X = 4\n")
        assert journey.run(module.task) == 4

    def test_a_module_that_was_deleted_is_said_once(self, journey: Journey) -> None:
        journey.write("knot_kept.py", "def f(): return 1\n")
        gone = journey.write("knot_gone.py")
        journey.take("knot_gone")
        module = journey.take("knot_kept")
        gone.unlink()
        assert journey.run(module.f) == 1
        journey.bundle()
        (line,) = journey.said
        assert str(gone) in line

    def test_a_file_that_goes_while_it_is_read(self, journey: Journey) -> None:
        journey.write("knot_pkg/__init__.py")
        fleeting = journey.write("knot_pkg/data.csv")
        journey.take("knot_pkg")
        snapshot = journey.own.look()
        assert snapshot is not None
        fleeting.unlink()
        files = journey.own.read(snapshot).files
        assert [file.name for file in files] == ["0/knot_pkg/__init__.py"]
        assert str(fleeting) in journey.said[0]


def test_a_bundle_is_the_same_in_any_order() -> None:
    files = [BundledFile("0/b.py", b"b"), BundledFile("0/a.py", b"a", True)]
    entries = [PathEntry("0", Precedence.PYTHON)]
    assert Bundle(entries, files).digest == Bundle(entries, files[::-1]).digest
    others = [
        Bundle(entries, [files[0], BundledFile("0/a.py", b"a")]),
        Bundle([PathEntry("0", Precedence.NOTHING)], files),
        Bundle(entries, files, "linux x86_64"),
        Bundle(entries, [files[0], BundledFile("0/a.py", b"c", True)]),
    ]
    assert len({one.digest for one in [*others, Bundle(entries, files)]}) == 5
