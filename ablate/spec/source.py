"""Read the constants, functions and formulas of a Python file without importing it; or import it by path.

The file of a mixer contains its class, which needs torch, next to its cost formulas, which do not. Plans, tables and
matched variants need only the formulas.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import operator
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from ablate.spec.errors import SpecError
from ablate.spec.printable import shown
from ablate.spec.usercode import PACKAGE, called, contained, sentence


def behaviour(path: Path) -> int:
    """Return the `BEHAVIOUR` number of a source file, without importing it."""
    number = constant(path, "BEHAVIOUR")
    if isinstance(number, bool) or not isinstance(number, int):
        raise SpecError(f"BEHAVIOUR in {path} must be a whole number, got {number!r}")
    return number


@cache
def constant(path: Path, name: str) -> Any:
    """Return the literal that a source file assigns to `name` at its top level.

    Raises:
        SpecError: when the file assigns no literal to that name.
    """
    for node in _statements(path):
        if name in _assigned(node):
            try:
                return ast.literal_eval(node.value)  # type: ignore[attr-defined]
            except ValueError:
                raise SpecError(f"{name} in {path} must be a literal, such as {name} = 1") from None
    raise SpecError(f"{path} assigns no {name}; add a line such as {name} = 1")


@cache
def optional(path: Path, name: str, default: Any) -> Any:
    """Return the literal that a source file assigns to `name`, or the default if it assigns none."""
    return constant(path, name) if name in defined(path) else default


def defined(path: Path) -> set[str]:
    """Return the names of functions and variables at the top level of a source file, without importing it."""
    found: set[str] = set()
    for node in _statements(path):
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        found.update(_assigned(node))
        if isinstance(node, ast.ImportFrom):
            found.update(alias.asname or alias.name for alias in node.names)
    return found


def _assigned(node: ast.stmt) -> set[str]:
    """Return the names that a statement assigns to, annotated or not."""
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return {node.target.id} if isinstance(node.target, ast.Name) else set()
    targets = node.targets if isinstance(node, ast.Assign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _statements(path: Path) -> list[ast.stmt]:
    """Return the statements of a file, as Python reads it: with a byte order mark or an encoding line, if it has one.

    Raises:
        SpecError: when Python cannot read it.
    """
    try:
        return ast.parse(path.read_bytes(), str(path)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise SpecError(sentence(error, path)) from None


def load_file(path: Path) -> ModuleType:
    """Import a file outside any package, once; its module name contains a hash of its path.

    Raises:
        SpecError: when the file raises an error; the message contains the line.
    """
    name = f"ablate_file_{hashlib.sha256(str(path).encode()).hexdigest()[:10]}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "a .py file can always be loaded"
    loader = spec.loader
    assert loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    try:
        called(path, lambda: loader.exec_module(module))
    except SpecError:
        del sys.modules[name]
        raise
    return module


@cache
def formula(path: Path, name: str) -> Callable[..., int] | None:
    """Return the function `name` of a source file; None if the file does not define it.

    Only the statements that the function depends on are executed: its helpers, constants and imports. A formula that
    uses a class needs the imports of that class too, such as torch.

    Raises:
        SpecError: when one of these statements raises an error. The returned function raises it too, when a call does,
            or returns no number of parameters or operations.
    """
    body = _statements(path)
    binding = {bound: node for node in body for bound in _binds(node)}
    if name not in binding:
        return None
    needed = _closure(name, binding)
    module = ast.Module([node for node in body if node in needed], type_ignores=[])
    # This file's `from __future__ import annotations` applies to the compiled code too: no annotation is evaluated.
    names: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    with contained(path):
        exec(compile(module, str(path), "exec"), names)  # noqa: S102 - the file of the entry

    def count(*args: Any) -> int:
        return _count(called(path, lambda: names[name](*args)), f"{name} in {path}")

    tested = PACKAGE in path.parents  # the formulas of the package are called thousands of times to match sizes
    return names[name] if tested else count


def _count(value: Any, what: str) -> int:
    """Return the result of a formula, a whole number such as a NumPy integer, as an integer."""
    try:
        number = int(value) if isinstance(value, float) and value.is_integer() else operator.index(value)
    except TypeError:
        number = -1
    if not 0 <= number < 2**63 or isinstance(value, bool):
        raise SpecError(f"{what} must return a whole number, 0 or more, got {shown(value)}")
    return number


def _closure(name: str, binding: dict[str, ast.stmt]) -> list[ast.stmt]:
    """Return the statements that `name` depends on, directly or indirectly."""
    names, needed = [name], []
    while names:
        node = binding.get(names.pop())
        if node is not None and node not in needed:
            needed.append(node)
            names += _uses(node)
    return needed


def _binds(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name))
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)


def _uses(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement uses, without those in annotations."""
    defaults = (
        [d for d in (*node.args.defaults, *node.args.kw_defaults) if d] if isinstance(node, ast.FunctionDef) else []
    )
    parts = [*node.body, *defaults, *node.decorator_list] if isinstance(node, ast.FunctionDef) else [node]
    yield from (part.id for top in parts for part in ast.walk(top) if isinstance(part, ast.Name))
