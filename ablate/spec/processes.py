"""How ablate starts Python processes of its own: from which files they import, and which variables they inherit.

A process imports this package from where the running one is, and nothing from the current folder, where a `random.py`
would replace Python's module. Variables of another launcher's process, such as RANK, do not describe the new one.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "__init__.py"
OTHERS = ("LOCAL_RANK", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK", "GROUP_WORLD_SIZE", "ABLATE_RANKS")
RANKS = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", *OTHERS)
RANK_PREFIXES = ("TORCHELASTIC_", "ROLE_", "OMPI_", "PMI_", "PMIX_", "PRTE_", "MV2_", "MPI_LOCAL", "PALS_")
# Of an interactive shell or a notebook.
SHELL = ("MPLBACKEND", "PYTHONINSPECT", "PYTHONIOENCODING", "PYTHONOPTIMIZE", "PYTHONSTARTUP", "PYTHONWARNINGS")
START = """
import importlib.util, os, runpy, sys
spec = importlib.util.spec_from_file_location("ablate", sys.argv[1])
sys.modules["ablate"] = package = importlib.util.module_from_spec(spec)
sys.path.append(os.path.dirname(os.path.dirname(sys.argv[1])))
spec.loader.exec_module(package)
module = sys.argv[2]
del sys.argv[1:3]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this package."""
    return [sys.executable, "-P", "-X", "utf8", "-c", START, str(PACKAGE), module, *arguments]


def without_ranks(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for a process that starts alone, in which no launcher has left its variables."""
    return {
        name: value
        for name, value in environment.items()
        if name not in (*RANKS, *SHELL) and not name.startswith(RANK_PREFIXES)
    }
