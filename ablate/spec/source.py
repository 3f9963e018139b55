"""Read a Python file without importing it: its constants, functions and BEHAVIOUR number; or import it by its path.

A mixer's file holds its class, which needs torch, next to its formulas, which need numbers. A plan, a table and a match
ask for the formulas alone.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from ablate.spec.errors import SpecError


def behaviour(path: Path) -> int:
    """The `BEHAVIOUR` number a source file declares, read without importing it."""
    number = constant(path, "BEHAVIOUR")
    if isinstance(number, bool) or not isinstance(number, int):
        raise SpecError(f"{path} has the BEHAVIOUR {number!r}; wanted is a whole number")
    return number


@cache
def constant(path: Path, name: str) -> Any:
    """The literal that a source file assigns to `name` at its top level.

    Raises:
        SpecError: when the file assigns no literal to that name.
    """
    for node in _statements(path):
        if name in _assigned(node):
            try:
                return ast.literal_eval(node.value)  # type: ignore[attr-defined]
            except ValueError:
                raise SpecError(f"{path} assigns {name} no plain value; wanted is one such as {name} = 1") from None
    raise SpecError(f"{path} assigns no {name}; add a line such as {name} = 1")


@cache
def optional(path: Path, name: str, default: Any) -> Any:
    """The literal that a source file assigns to `name`, or the default where it assigns none."""
    return constant(path, name) if name in defined(path) else default


def defined(path: Path) -> set[str]:
    """The functions and variables a source file defines at its top level, read without importing it."""
    found: set[str] = set()
    for node in _statements(path):
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        found.update(_assigned(node))
        if isinstance(node, ast.ImportFrom):
            found.update(alias.asname or alias.name for alias in node.names)
    return found


def _assigned(node: ast.stmt) -> set[str]:
    """The names a statement assigns to, with an annotation or without."""
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return {node.target.id} if isinstance(node.target, ast.Name) else set()
    targets = node.targets if isinstance(node, ast.Assign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _statements(path: Path) -> list[ast.stmt]:
    try:
        return ast.parse(path.read_text(encoding="utf-8")).body
    except SyntaxError as error:
        raise SpecError(f"{path}, line {error.lineno}: {error.msg}") from None


def load_file(path: Path) -> ModuleType:
    """The module in a file that belongs to no package, executed once; its name is made unique by its whole path.

    Raises:
        SpecError: when the file fails.
    """
    name = f"ablate_file_{hashlib.sha256(str(path).encode()).hexdigest()[:10]}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "a .py file can always be loaded"
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise SpecError(f"{path} fails when loaded: {type(error).__name__}: {error}") from error
    return module


@cache
def formula(path: Path, name: str) -> Callable[..., Any] | None:
    """The function a file defines at its top level under `name`; None where it defines none.

    Of the file only what the function leans on is executed: its helpers, constants and imports. A formula that leans
    on a class gets the class, and torch with it.

    Raises:
        SpecError: when that fails.
    """
    body = ast.parse(path.read_text(encoding="utf-8")).body
    binding = {bound: node for node in body for bound in _binds(node)}
    if name not in binding:
        return None
    needed = _closure(name, binding)
    module = ast.Module([node for node in body if node in needed], type_ignores=[])
    # Compiled under this file's own `from __future__ import annotations`: no annotation is evaluated.
    names: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    try:
        exec(compile(module, str(path), "exec"), names)  # noqa: S102 - the entry's own file
    except Exception as error:
        raise SpecError(f"{path} fails when its {name} is read: {type(error).__name__}: {error}") from error
    found: Callable[..., Any] = names[name]
    return found


def _closure(name: str, binding: dict[str, ast.stmt]) -> list[ast.stmt]:
    """The statements that `name` needs, directly or through others."""
    wanted, needed = [name], []
    while wanted:
        node = binding.get(wanted.pop())
        if node is not None and node not in needed:
            needed.append(node)
            wanted += _uses(node)
    return needed


def _binds(node: ast.stmt) -> Iterator[str]:
    """The names a statement gives a meaning to."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name))
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)


def _uses(node: ast.stmt) -> Iterator[str]:
    """The names a statement asks for; annotations are not evaluated and ask for nothing."""
    defaults = (
        [d for d in (*node.args.defaults, *node.args.kw_defaults) if d] if isinstance(node, ast.FunctionDef) else []
    )
    parts = [*node.body, *defaults, *node.decorator_list] if isinstance(node, ast.FunctionDef) else [node]
    yield from (part.id for top in parts for part in ast.walk(top) if isinstance(part, ast.Name))
