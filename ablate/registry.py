"""Names to objects: what is known, what was meant, and no name twice.

A registry is a folder: each file `NAME.py` in it is one entry, so adding a mixer, a dataset or a plot means
adding one file. Names are found by listing the folder and constants are read from the source, so that a
command line can validate a request without importing torch.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any


class SpecError(ValueError):
    """A request that cannot be met: one sentence for the user, never a traceback."""


def unknown(kind: str, name: object, known: Iterable[str]) -> SpecError:
    """The error for a name nobody knows, with the nearest known one and the whole list."""
    names = sorted(known)
    close = difflib.get_close_matches(str(name), names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return SpecError(f"unknown {kind} {name!r}: {hint}known are {', '.join(names) or 'none'}")


class Registry:
    """The modules of one folder by name; `registry["name"]` imports the module on first use.

    Args:
        kind: what an entry is called in messages, such as "mixer".
        package: dotted name of the package whose files are the entries.
        folder: where that package's files lie.
    """

    def __init__(self, kind: str, package: str, folder: Path) -> None:
        self.kind = kind
        self._modules = {path.stem: f"{package}.{path.stem}" for path in sorted(folder.glob("[!_]*.py"))}
        self._paths = {name: folder / f"{name}.py" for name in self._modules}

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __getitem__(self, name: str) -> ModuleType:
        own = self.file(self.check(name))
        return load_file(own) if own else importlib.import_module(self._modules[name])

    def file(self, name: str) -> Path | None:
        """The file of an entry that was added by its path; None for one that belongs to a package."""
        return self._paths[name] if self._modules[name] == str(self._paths[name]) else None

    def add(self, name: str, module: str, path: Path) -> None:
        """Make one more module known under `name`.

        Args:
            module: its dotted name; for a file outside any package, its path.
            path: the file itself.

        Raises:
            SpecError: when the name is taken by another module.
        """
        if self._modules.get(name, module) != module:
            raise SpecError(
                f"{self.kind} {name!r} is defined twice: in {self._modules[name]} and in {module}; rename one"
            )
        self._modules[name] = module
        self._paths[name] = path

    def check(self, name: str) -> str:
        """The name itself, if it is known; a `SpecError` otherwise."""
        if name not in self._modules:
            raise unknown(self.kind, name, self)
        return name

    def path(self, name: str) -> Path:
        """The file of an entry."""
        return self._paths[self.check(name)]

    def behaviour(self, name: str) -> int:
        """The entry's behaviour number: raised when a mended entry must not be taken for the old one."""
        return behaviour(self._paths[self.check(name)])


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
