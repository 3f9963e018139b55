"""Processes of this package: what they import, and which variables they inherit."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ablate.spec.processes import PACKAGE, command, without_ranks


def test_nothing_is_imported_from_the_current_folder(tmp_path: Path) -> None:
    for name in ("random", "profile", "secrets", "typing", "orjson", "ablate"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the current folder')")
    (tmp_path / "timm").mkdir()
    (tmp_path / "timm" / "__init__.py").write_text("raise SystemExit('imported from the current folder')")
    done = subprocess.run(
        command("ablate", "--version"), cwd=tmp_path, capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ablate ")


def test_the_running_package_is_used_where_no_path_leads_to_it(tmp_path: Path) -> None:
    """It may have been found in the current folder."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command("ablate.spec.errors"), cwd=tmp_path, capture_output=True, text=True, check=False, env=environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert str(PACKAGE) in command("ablate")


def test_a_launchers_variables_are_left_out() -> None:
    kept = {
        "PATH": "/bin",
        "CUDA_VISIBLE_DEVICES": "1",
        "GLOO_SOCKET_IFNAME": "eth1",
        "RANKING": "x",
        "HOME": "/home/me",
    }
    left = {
        "RANK": "0",
        "WORLD_SIZE": "8",
        "LOCAL_RANK": "0",
        "GROUP_RANK": "0",
        "ROLE_NAME": "default",
        "MASTER_ADDR": "node7",
        "MASTER_PORT": "29500",
        "TORCHELASTIC_RUN_ID": "none",
        "OMPI_COMM_WORLD_RANK": "0",
        "PMI_RANK": "0",
        "PMIX_RANK": "0",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONINSPECT": "1",
        "PYTHONIOENCODING": "latin-1",
        "PYTHONWARNINGS": "error",
    }
    assert without_ranks(kept | left) == kept
