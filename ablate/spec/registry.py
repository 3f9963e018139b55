"""Names to objects: what is known, what was meant, and no name twice.

A registry is a folder: each file `NAME.py` in it is one entry, so adding a mixer, a dataset or a plot means
adding one file. Names are found by listing the folder and constants are read from the source, so that a
command line can validate a request without importing torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from ablate.spec.errors import SpecError, unknown
from ablate.spec.source import behaviour, load_file


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
