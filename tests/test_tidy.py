"""House rules that no linter knows. A failure lists every place, one a line.

Words that we never write are spelt in rot13 here, or this file would break its own rule.
"""

from __future__ import annotations

import ast
import codecs
import importlib
import io
import pkgutil
import re
import subprocess
import tokenize
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

ROOT = Path(__file__).parents[1]
FILE_LINES_MAX = 350
FUNCTION_LINES_MAX = 70
ARGUMENTS_MAX = 8
FOLDERS = ("shm_exchange", "bench", "tools", "tests")
CODE_SUFFIXES = (".py", ".sh", ".js", ".css", ".html")
VENDORED = "vendor"

KERNEL_DECORATORS = {"kernel", "inlined"}
COMPILER_NAMES = {"cfunc", "generated_jit", "guvectorize", "jit", "jitclass", "njit", "stencil", "vectorize"}
COMPILER_FILES = ("shm_exchange/_jit.py", "shm_exchange/_intrinsics.py")
PRINTING_ROOMS = ("shm_exchange/cli/", "shm_exchange/examples/")
NUMPY_ATTRIBUTES = {name for kind in (np.recarray, np.record) for name in dir(kind)}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _said(*words: str) -> str:
    return "|".join(re.escape(codecs.decode(word, "rot13")) for word in words)


PLANS = re.compile(rf"\b({_said('GBQB', 'SVKZR', 'KKK', 'UNPX')})\b")
REGISTRIES = re.compile(
    _said(
        "clcv.bet", "clgubaubfgrq.bet", "aczwf.bet", "aczwf.pbz", "qro.qrovna.bet", "pengrf.vb", "eholtrzf.bet", "cebkl.tbynat.bet", "nanpbaqn.bet"
    ),
    re.IGNORECASE,
)
_ASSISTANTS = _said("pynhqr", "naguebcvp", "pungtcg", "tcg", "bcranv", "pbcvybg", "pbqrk", "yyz", "yyzf", "nv", "jvaqfhes", "qrrcfrrx")
ASSISTANTS = re.compile(rf"(?<![a-z])({_ASSISTANTS})(?![a-z])", re.IGNORECASE)


@cache
def _files() -> tuple[str, ...]:
    """Every file of the checkout that is, or is about to be, under version control."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.split("\n") if listed.returncode == 0 else [str(path.relative_to(ROOT)) for path in _walk()]
    return tuple(sorted(name for name in set(names) if name and (ROOT / name).is_file()))


def _walk() -> Iterator[Path]:
    """The same without git: what an unpacked source distribution holds."""
    for folder in FOLDERS:
        yield from (path for path in (ROOT / folder).rglob("*") if "__pycache__" not in path.parts)
    yield from ROOT.glob("*.*")


@cache
def _text(name: str) -> str:
    """The text of a file; nothing for data that is no text."""
    try:
        return (ROOT / name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def _sources(*folders: str) -> list[str]:
    return [name for name in _files() if name.endswith(".py") and name.startswith(tuple(f"{folder}/" for folder in folders))]


@cache
def _tree(name: str) -> ast.Module:
    return ast.parse(_text(name), name)


def _functions(name: str) -> list[Function]:
    return [node for node in ast.walk(_tree(name)) if isinstance(node, Function)]


def _is_kernel(function: Function) -> bool:
    return any(isinstance(decorator, ast.Name) and decorator.id in KERNEL_DECORATORS for decorator in function.decorator_list)


def _expect_none(found: list[str]) -> None:
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def _lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number} {match.group()}"
        for name in _files()
        for number, line in enumerate(_text(name).splitlines(), 1)
        if (match := pattern.search(line))
    ]


def test_files_have_one_job() -> None:
    code = [name for name in _files() if name.endswith(CODE_SUFFIXES) or name.startswith(".ci/")]
    long = [f"{name}: {lines} lines" for name in code if VENDORED not in name and (lines := len(_text(name).splitlines())) > FILE_LINES_MAX]
    _expect_none(long)


def test_functions_fit_a_screen() -> None:
    found = []
    for name in _sources(*FOLDERS):
        for function in _functions(name):
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                found.append(f"{name}:{function.lineno} {function.name}: {lines} lines")
    _expect_none(found)


def test_functions_take_few_arguments() -> None:
    found = []
    for name in _sources("shm_exchange", "bench", "tools"):
        for function in _functions(name):
            count = len(function.args.posonlyargs + function.args.args)  # an option that must be named at the call does not burden it
            if count > ARGUMENTS_MAX:
                found.append(f"{name}:{function.lineno} {function.name}: {count} arguments")
    _expect_none(found)


def _arguments(function: Function) -> list[ast.arg]:
    everything = function.args
    named = everything.posonlyargs + everything.args + everything.kwonlyargs
    return [argument for argument in [*named, everything.vararg, everything.kwarg] if argument and argument.arg not in ("self", "cls")]


def test_all_but_kernels_are_annotated() -> None:
    """The half of mypy's strictness that kernels cannot have (see `[tool.mypy]`)."""
    found = []
    for name in _sources("shm_exchange", "bench", "tools"):
        if name in COMPILER_FILES:
            continue
        plain = (function for function in _functions(name) if not _is_kernel(function))
        found += [f"{name}:{function.lineno} {function.name}" for function in plain if not _is_annotated(function)]
    _expect_none(found)


def _is_annotated(function: Function) -> bool:
    return function.returns is not None and all(argument.annotation for argument in _arguments(function))


def test_modules_say_what_they_are() -> None:
    _expect_none([name for name in _sources(*FOLDERS) if _tree(name).body and not ast.get_docstring(_tree(name))])


def test_only_programs_print() -> None:
    found = []
    for name in _sources("shm_exchange"):
        if name.startswith(PRINTING_ROOMS):
            continue
        calls = [node for node in ast.walk(_tree(name)) if isinstance(node, ast.Call)]
        found += [f"{name}:{call.lineno}" for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
    _expect_none(found)


def test_no_plans_in_the_code() -> None:
    _expect_none(_lines_with(PLANS))


def test_no_code_in_comments() -> None:
    found = []
    for name in _sources(*FOLDERS):
        comments = (token for token in tokenize.generate_tokens(io.StringIO(_text(name)).readline) if token.type == tokenize.COMMENT)
        whole_lines = (token for token in comments if not token.line[: token.start[1]].strip())
        found += [f"{name}:{token.start[0]} {token.string}" for token in whole_lines if _is_code(token.string.lstrip("# "))]
    _expect_none(found)


def _is_code(text: str) -> bool:
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return False
    statements = (ast.Assign, ast.AugAssign, ast.Return, ast.Import, ast.ImportFrom, ast.Raise, ast.Assert, ast.Delete, ast.Pass)
    return any(isinstance(node, statements) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)) for node in body)


def test_kernels_and_intrinsics_are_made_in_one_place() -> None:
    found = []
    for name in _sources("shm_exchange"):
        if name in COMPILER_FILES:
            continue
        for node in ast.walk(_tree(name)):
            names = {alias.name for alias in node.names} if isinstance(node, ast.ImportFrom) else {getattr(node, "attr", "")}
            if names & (COMPILER_NAMES | {"intrinsic"}):
                found.append(f"{name}:{getattr(node, 'lineno', 0)} {names}")
    _expect_none(found)


def test_kernels_index_by_name() -> None:
    """`header[0]` is the one record of an array of one; any other digit is a column number."""
    found = []
    for name in _sources(*FOLDERS):
        for function in filter(_is_kernel, _functions(name)):
            subscripts = [node for node in ast.walk(function) if isinstance(node, ast.Subscript)]
            found += [f"{name}:{node.lineno} {ast.unparse(node)}" for node in subscripts if _digits(node.slice) - {0}]
    _expect_none(found)


def _digits(index: ast.expr) -> set[int]:
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    digits = set()
    for part in parts:
        try:
            value = ast.literal_eval(part)
        except (ValueError, TypeError):
            continue
        if isinstance(value, int):
            digits.add(value)
    return digits


@pytest.mark.parametrize("package", ["shm_exchange", "bench"])
def test_fields_of_records_hide_no_attribute_of_numpy(package: str) -> None:
    """With the JIT off, `record.size` of a recarray is numpy's size, not the field."""
    found = set()
    for module in _modules(package):
        for name, dtype in vars(module).items():
            if isinstance(dtype, np.dtype):
                found |= {f"{name}.{field}" for field in _fields(dtype) if field in NUMPY_ATTRIBUTES}
    _expect_none(sorted(found))


def _fields(dtype: np.dtype) -> Iterator[str]:
    for name in dtype.names or ():
        yield name
        yield from _fields(dtype[name].base)


def _modules(package: str) -> Iterator[ModuleType]:
    """All modules that can be imported here; those of optional groups may not."""
    top = importlib.import_module(package)
    for module in pkgutil.walk_packages(top.__path__, f"{package}.", onerror=lambda _: None):
        if module.name.endswith("__main__"):
            continue
        try:
            yield importlib.import_module(module.name)
        except ImportError as error:
            if (error.name or "").startswith(("shm_exchange", "bench")):
                raise


def test_nothing_names_a_package_registry() -> None:
    _expect_none(_lines_with(REGISTRIES))


def test_nothing_names_an_assistant() -> None:
    _expect_none(_lines_with(ASSISTANTS))
