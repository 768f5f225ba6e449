"""What the texts tell people to type: launches, flags, configs, files and names that exist."""

import ast
import collections
import configparser
import importlib
import json
import pathlib
import re
import subprocess
import sys

import pytest

from launch.machine.installed_commands import COMMANDS

pytestmark = pytest.mark.slow

THIS = pathlib.Path(__file__).resolve()
ROOT = THIS.parents[1]
GUIDES = [ROOT / "README.md", *sorted(ROOT.glob("*/README.md")), *sorted(ROOT.glob("*/weights/*/README.md")),
          ROOT / "BUILD_NOTES.md"]
TEXTS = [*GUIDES, *sorted((ROOT / "configs").rglob("*.py")), *sorted((ROOT / "launch").glob("*.py")),
         *sorted((ROOT / "launch" / "datasets").glob("*.py"))]
# A command goes on after a backslash, or on an indented line of flags.
_COMMAND = re.compile(r"python -m (launch(?:\.\w+)+)((?:[^\n`]|\\\n|\n[ ]+\[?--)*)")
_DEFINED = re.compile(r"""DEFINE_\w+\(\s*["'](\w+)["']""")
_CODE = "\n".join(block for guide in GUIDES
                  for block in re.findall(r"```python\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL))


def label(path):
    return str(path.relative_to(ROOT)).replace("/", "-")


def commands(texts):
    for path in texts:
        for match in _COMMAND.finditer(path.read_text(encoding="utf-8")):
            yield pytest.param(match[1], match[2].rstrip("."), id=f"{label(path)}-{match[1]}")


@pytest.mark.parametrize(("module", "arguments"), list(commands(TEXTS)))
def test_commands_exist_with_their_flags(module, arguments):
    source = ROOT / (module.replace(".", "/") + ".py")
    assert source.is_file()
    text = source.read_text(encoding="utf-8")
    if "cluster" in text:
        text += (ROOT / "launch/distributed/cluster.py").read_text(encoding="utf-8")
    defined = set(_DEFINED.findall(text))
    asked = set(re.findall(r"--(\w+)", arguments))
    assert asked <= defined
    for config in re.findall(r"configs/[\w/]+\.py", arguments):
        assert config == "configs/FILE.py" or (ROOT / config).is_file()


# What stands for a user's own in the guides' commands.
_PLACEHOLDERS = {"configs/FILE.py": "configs/phasenet_small.py", "=N": "=2", "=I": "=0", "[": "", "]": "", '"': ""}


# Parses each list of arguments in a fork: to import the launch anew for each of them would cost a second, and
# `launch.training`, which the configs import, two seconds more.
_PARSE = """
import importlib, json, os, sys
from launch import app
importlib.import_module(sys.argv[1])
if sys.argv[1] == "launch.train":
    importlib.import_module("launch.training")
for arguments in json.loads(sys.argv[2]):
    child = os.fork()
    if not child:
        sys.argv[1:] = arguments  # where ml_collections looks for overrides of a config
        app._parse_flags(list(sys.argv))
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"not taken: {arguments}")
"""
_ARGUMENTS_OF = collections.defaultdict(list)
for _command in commands(GUIDES):
    _ARGUMENTS_OF[_command.values[0]].append(_command.values[1])


@pytest.mark.parametrize("module", sorted(_ARGUMENTS_OF))
def test_the_guides_flags_are_taken_with_their_values(module):
    lists = set(_ARGUMENTS_OF[module])
    for placeholder, value in _PLACEHOLDERS.items():
        lists = {arguments.replace(placeholder, value) for arguments in lists}
    call = [sys.executable, "-c", _PARSE, module, json.dumps([arguments.split() for arguments in sorted(lists)])]
    as_typed = [sys.executable, "-m", module, *min(lists).split(), "--only_check_args"]
    for command in (call, as_typed):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_some_test_runs_each_launch_of_the_guides():
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py") if path != THIS)
    for module in {c.values[0] for c in commands(GUIDES)}:
        parent, _, name = module.rpartition(".")
        assert re.search(rf"{re.escape(module)}\b|from {re.escape(parent)} import [\w, ]*\b{name}\b", tests), module


def test_each_installed_command_is_a_launch():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options.entry_points"]["console_scripts"].strip().splitlines()
    assert dict(line.split(" = ") for line in lines) == dict.fromkeys(COMMANDS, "launch.machine.installed_commands:run")
    for module in COMMANDS.values():
        assert (ROOT / (module.replace(".", "/") + ".py")).is_file()


@pytest.mark.parametrize("guide", GUIDES, ids=label)
def test_a_guide_names_files_that_exist(guide):
    text = guide.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:configs|launch|saxsae|phasenet|tests)/[\w/.]+)`", text):
        assert (ROOT / name).exists(), name
    for target in re.findall(r"\]\((?!http)([^)#]+)(?:#[\w-]+)?\)", text):
        assert (guide.parent / target).exists(), target


@pytest.mark.parametrize("guide", GUIDES, ids=label)
def test_a_link_into_a_page_leads_to_a_heading(guide):
    for target, anchor in re.findall(r"\]\((?!http)([^)#]*)#([\w-]+)\)", guide.read_text(encoding="utf-8")):
        page = (guide.parent / target if target else guide).read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
        assert anchor in [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_the_guides_python_imports_what_exists():
    assert _CODE
    for node in ast.walk(ast.parse(_CODE)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name) or importlib.import_module(f"{node.module}.{alias.name}")
