"""What the texts tell people to type: launches, flags, configs and names that exist."""

import ast
import importlib
import pathlib
import re
import subprocess
import sys

import pytest

THIS = pathlib.Path(__file__).resolve()
ROOT = THIS.parents[1]
TEXTS = [ROOT / "README.md", *sorted((ROOT / "configs").glob("*.py")), *sorted((ROOT / "launch").glob("*.py"))]
# A command goes on after a backslash, or on an indented line of flags.
_COMMAND = re.compile(r"python -m (launch\.\w+)((?:[^\n`]|\\\n|\n[ ]+\[?--)*)")
_DEFINED = re.compile(r"""DEFINE_\w+\(\s*["'](\w+)["']""")


def commands():
    for path in TEXTS:
        for match in _COMMAND.finditer(path.read_text(encoding="utf-8")):
            yield pytest.param(match[1], match[2], id=f"{path.name}-{match[1]}")


@pytest.mark.parametrize(("module", "arguments"), list(commands()))
def test_commands_exist_with_their_flags(module, arguments):
    source = ROOT / (module.replace(".", "/") + ".py")
    assert source.is_file()
    text = source.read_text(encoding="utf-8")
    if "cluster" in text:
        text += (ROOT / "launch/distributed/cluster.py").read_text(encoding="utf-8")
    defined = set(_DEFINED.findall(text))
    asked = set(re.findall(r"--(\w+)", arguments))
    assert asked <= defined
    for config in re.findall(r"configs/\w+\.py", arguments):
        assert config == "configs/FILE.py" or (ROOT / config).is_file()


# What stands for a user's own in the README's commands.
_PLACEHOLDERS = {"configs/FILE.py": "configs/phasenet_small.py", "=N": "=2", "=I": "=0", "[": "", "]": "", '"': ""}


@pytest.mark.parametrize(("module", "arguments"), [c for c in commands() if c.id.startswith("README")])
def test_the_readmes_flags_are_taken_with_their_values(module, arguments):
    for placeholder, value in _PLACEHOLDERS.items():
        arguments = arguments.replace(placeholder, value)
    done = subprocess.run([sys.executable, "-m", module, *arguments.split(), "--only_check_args"], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_some_test_runs_each_launch_of_the_readme():
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py") if path != THIS)
    for module in {c.values[0] for c in commands() if c.id.startswith("README")}:
        name = module.removeprefix("launch.")
        assert re.search(rf"{re.escape(module)}\b|from launch import [\w, ]*\b{name}\b", tests), module


def test_the_readme_names_files_that_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in re.findall(r"`((?:configs|launch|saxsae|phasenet|tests)/[\w/.]+)`", text):
        assert (ROOT / name).exists(), name


def test_the_readmes_python_imports_what_exists():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for node in ast.walk(ast.parse("\n".join(blocks))):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name) or importlib.import_module(f"{node.module}.{alias.name}")
