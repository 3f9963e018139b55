"""A function of a source file without the rest of the file: arithmetic that does not wait for torch.

A mixer's file holds its class, which needs torch, beside its formulas, which need numbers. A plan, a table and a match
ask for the formulas alone, as `ablate.registry.constant` asks for a constant.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from ablate.registry import SpecError


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
