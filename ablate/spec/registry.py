"""Registries: the modules of a folder by name.

Each file `NAME.py` of the folder is one entry, so adding a mixer, a dataset or a plot means adding one file. Names come
from listing the folder, and constants from reading the source: commands check a request without importing torch.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from ablate.spec.errors import SpecError, unknown
from ablate.spec.source import behaviour, load_file
from ablate.spec.usercode import contained


class Registry:
    """The modules of one folder by name; `registry["name"]` imports the module on first use.

    Args:
        kind: name of an entry in messages, such as "mixer".
        package: dotted name of the package whose files are the entries.
        folder: path of that package.
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
        if own:
            return load_file(own)
        if module := sys.modules.get(self._modules[name]):
            return module
        with contained(self._paths[name]):
            return importlib.import_module(self._modules[name])

    def file(self, name: str) -> Path | None:
        """Return the file of an entry that was added by path; None for a module of a package."""
        return self._paths[name] if self._modules[name] == str(self._paths[name]) else None

    def add(self, name: str, module: str, path: Path) -> None:
        """Register a module.

        Args:
            name: name of the entry.
            module: dotted name of the module; for a file outside any package, its path.
            path: path of the file.

        Raises:
            SpecError: when another module has the name.
        """
        if self._modules.get(name, module) != module:
            raise SpecError(
                f"{self.kind} {name!r} is defined twice: in {self._modules[name]} and in {module}; rename one"
            )
        self._modules[name] = module
        self._paths[name] = path

    def check(self, name: str) -> str:
        """Return the name; raise a `SpecError` when it is unknown."""
        if name not in self._modules:
            raise unknown(self.kind, name, self)
        return name

    def path(self, name: str) -> Path:
        """Return the file of an entry."""
        return self._paths[self.check(name)]

    def behaviour(self, name: str) -> int:
        """Return the behaviour number of an entry, which is raised when a fix changes its results."""
        return behaviour(self._paths[self.check(name)])
