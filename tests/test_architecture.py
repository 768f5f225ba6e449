"""The rules of the house: who imports whom, who touches files, how full a folder is, what is documented."""

import ast
import collections
import functools
import graphlib
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGES = ("phasenet", "saxsae", "launch", "configs")
CORES = ("phasenet", "saxsae")
SOURCES = sorted(path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
CORE_SOURCES = [path for path in SOURCES if path.parts[0] in CORES]
# A file stays around 350 lines; beyond this it surely holds two concepts.
MOST_LINES = 385
MOST_MODULES_IN_A_FOLDER = 12
# What the rooms of a package may import of each other; files at the top of a package stand above them all, but for
# those that all may use.
ROOMS = {
    "phasenet.maps": (), "phasenet.networks": ("phasenet.maps",), "phasenet.search": ("phasenet.maps",),
    "phasenet.crystal": (), "phasenet.io": (),
    "saxsae.shapes": (), "saxsae.networks": ("saxsae.shapes",), "saxsae.profiles": ("saxsae.shapes",),
    "saxsae.superposition": ("saxsae.shapes", "saxsae.profiles"),
    "saxsae.bank": ("saxsae.shapes", "saxsae.profiles", "saxsae.networks"),
    "saxsae.analysis": ("saxsae.profiles",),
    "saxsae.io": ("saxsae.shapes", "saxsae.profiles"),
}
GROUND = {"phasenet.errors", "phasenet.metrics", "phasenet.voxel_layers"}
# saxsae shares these with phasenet, and nothing else.
SHARED = ("phasenet.errors.", "phasenet.io.", "phasenet.networks.", "phasenet.voxel_layers.")

FILE_MODULES = {"fileinput", "glob", "io", "os", "pathlib", "shutil", "tempfile", "zipfile", "gzip", "mmap"}
FLAG_LOG_AND_CLOCK_MODULES = {"argparse", "logging", "subprocess", "socket", "sys", "time", "urllib"}
FILE_CALLS = {"open", "read_text", "read_bytes", "write_text", "write_bytes", "loadtxt", "genfromtxt", "savetxt",
              "fromfile", "tofile", "memmap", "savez", "savez_compressed"}
PICKLES = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
ARRAY_MODULES = {"np", "jnp", "numpy"}

each_source = pytest.mark.parametrize("path", SOURCES, ids=str)
each_core_source = pytest.mark.parametrize("path", CORE_SOURCES, ids=str)


@functools.cache
def parsed(path: pathlib.Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), str(path))


@functools.cache
def imported(path: pathlib.Path) -> set[str]:
    """Full dotted names of what a file imports, wherever in it."""
    names = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def top_levels(path: pathlib.Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


def module_name(path: pathlib.Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in SOURCES}


def imported_modules(path: pathlib.Path) -> set[str]:
    """Those of our modules that a file imports, wherever in it."""
    return {name if name in MODULES else name.rpartition(".")[0] for name in imported(path)} & MODULES.keys()


def may_open_files(path: pathlib.Path) -> bool:
    return path.name in ("pretrained.py", "crystal_pretrained.py") or path.parts[1:2] == ("io",)


def file_calls(path: pathlib.Path) -> list[str]:
    """open(), x.read_text(), np.load() and their like, as "line: call"."""
    found = []
    for node in ast.walk(parsed(path)):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = getattr(function, "id", getattr(function, "attr", ""))
        owner = getattr(getattr(function, "value", None), "id", "")
        if name in FILE_CALLS or (name in ("load", "save") and owner in ARRAY_MODULES):
            found.append(f"{node.lineno}: {ast.unparse(function)}")
    return found


def tracked_files() -> list[pathlib.Path]:
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout, or no git here")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


@each_core_source
def test_a_core_knows_nothing_of_the_shell(path):
    assert not top_levels(path) & {"launch", "configs", "absl", "ml_collections"}


@pytest.mark.parametrize("path", [path for path in SOURCES if path.parts[0] == "phasenet"], ids=str)
def test_phasenet_does_not_know_saxsae(path):
    assert "saxsae" not in top_levels(path)


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path.parts[:2] == ("launch", "training")], ids=str)
def test_training_knows_no_physics(path):
    physics = {name for name in imported(path) if name.partition(".")[0] in CORES}
    assert physics <= {"phasenet.errors.InputError", "phasenet.io.npz.read_npz"}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_below_it(room):
    package = room.partition(".")[0]
    for path in (path for name, path in MODULES.items() if name.startswith(f"{room}.")):
        for name in (name for name in imported_modules(path) - GROUND if name.partition(".")[0] == package):
            below = ".".join(name.split(".")[:2])
            assert below == room or below in ROOMS[room], f"{path} imports {name}"


@pytest.mark.parametrize("path", [path for path in SOURCES if path.parts[0] == "saxsae"], ids=str)
def test_saxsae_shares_with_phasenet_only_what_is_of_no_problem(path):
    of_phasenet = {name for name in imported_modules(path) if name.partition(".")[0] == "phasenet"}
    assert not {name for name in of_phasenet if not f"{name}.".startswith(SHARED)}


def test_there_is_no_circle_of_imports():
    graphlib.TopologicalSorter({name: imported_modules(path) - {name} for name, path in MODULES.items()}).prepare()


def test_a_folder_holds_a_dozen_modules_at_most():
    folders = collections.Counter(path.parent for path in SOURCES if path.name != "__init__.py")
    assert not {folder: count for folder, count in folders.items() if count > MOST_MODULES_IN_A_FOLDER}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_two_public_classes_of_a_package_have_one_name(package):
    named = collections.defaultdict(list)
    for path in (path for path in SOURCES if path.parts[0] == package):
        for node in parsed(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                named[node.name].append(str(path))
    assert not {name: places for name, places in named.items() if len(places) > 1}


@each_source
def test_nothing_imports_scipy(path):
    assert "scipy" not in top_levels(path)


@pytest.mark.parametrize("path", [path for path in CORE_SOURCES if not may_open_files(path)], ids=str)
def test_only_io_and_pretrained_touch_files(path):
    assert not file_calls(path)
    assert not top_levels(path) & FILE_MODULES


@each_core_source
def test_a_core_has_no_flags_logs_or_clocks(path):
    # io/ may talk to the world, a server's answers included.
    forbidden = FLAG_LOG_AND_CLOCK_MODULES - ({"time", "urllib"} if may_open_files(path) else set())
    assert not top_levels(path) & forbidden
    calls = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)]
    assert not [node.lineno for node in calls if getattr(node.func, "id", "") == "print"]


@each_source
def test_nothing_reads_pickles(path):
    """They run code. The exception: tables that a peer ships so, in the package that is installed and imported."""
    loads = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.keyword) and node.arg == "allow_pickle"]
    assert all(ast.unparse(node.value) == "False" for node in loads)
    assert not top_levels(path) & PICKLES or path == pathlib.Path("launch/benchmarks/suites/zernike.py")


@pytest.mark.parametrize("path", [path for path in SOURCES if path.parts[0] == "configs"], ids=str)
def test_a_config_documents_all_but_get_config(path):
    """The head of the file says what that trains; of the other packages ruff demands every docstring."""
    functions = [node for node in parsed(path).body if isinstance(node, ast.FunctionDef)]
    assert all(ast.get_docstring(node) for node in functions if node.name[0] != "_" and node.name != "get_config")


@each_source
def test_public_functions_are_annotated(path):
    bare = []
    for scope in (parsed(path), *(node for node in parsed(path).body if isinstance(node, ast.ClassDef))):
        for node in scope.body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs,
                             *filter(None, (node.args.vararg, node.args.kwarg))]
                bare += [f"{node.name}({argument.arg})" for argument in arguments
                         if argument.annotation is None and argument.arg not in ("self", "cls")]
                bare += [f"{node.name} returns"] * (node.returns is None)
    assert not bare


@each_source
def test_a_file_holds_one_concept(path):
    assert path.name != "utils.py"
    assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_the_file_check_sees_what_it_forbids(tmp_path):
    sample = tmp_path / "sample.py"
    sample.write_text("import numpy as np\nopen('a')\nnp.load('b')\nstate.load('c')\npath.write_text('d')\n")
    assert [call.partition(":")[0] for call in file_calls(sample)] == ["2", "3", "5"]


def test_no_file_names_a_machine():
    """No path of one machine, no package index: what works here works elsewhere."""
    paths = r"(?<![\w.~:/-])/(?:home|root|work|Users|mnt|opt|srv|scratch)/\w"
    hosts = r"pypi\.org|pythonhosted|anaconda\.org|artifactory|--(?:extra-)?index-url|--find-links|/simple\b"
    pattern = re.compile(f"{paths}|{hosts}")
    found = []
    for path in tracked_files():
        if path == pathlib.Path(__file__).resolve():
            continue  # it has to spell out what it looks for
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # weights
        found += [f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, hit.start()) + 1}: {hit[0]}"
                  for hit in pattern.finditer(text)]
    assert not found


def test_tests_reach_the_collection_of_data_through_one_fixture():
    """So that all of them skip where it is absent: only conftest.py knows where it may lie."""
    pattern = re.compile(r"""["'/]shared["'/]|PHASENET_DATA""")
    knowing = {path.name for path in (ROOT / "tests").rglob("*.py") if pattern.search(path.read_text())}
    assert knowing <= {"conftest.py", pathlib.Path(__file__).name}


@pytest.mark.parametrize("name", [".ci/run", "tests/run", "launch/environment", "launch/quickstart",
                                  "launch/pages/vendor/fetch"])
def test_commands_can_be_called(name):
    assert os.access(ROOT / name, os.X_OK)
    subprocess.run(["bash", "-n", ROOT / name], check=True)
    assert "set -euo pipefail" in (ROOT / name).read_text()
