"""One cluster for all tests in this folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster, NoClusterError, missing


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Start a cluster for Slurm's commands; if that is not possible, skip with the reason."""
    why = missing()
    if why:
        absent(why)
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    found = Cluster(folder)
    patch = pytest.MonkeyPatch()
    try:
        found.up()
        for name, value in found.environment.items():
            patch.setenv(name, value)
        yield found
    except NoClusterError as error:
        absent(str(error))
    finally:
        patch.undo()
        found.down()
        shutil.rmtree(folder, ignore_errors=True)


def absent(why: str) -> None:
    """Skip, or fail if a cluster is required."""
    if os.environ.get("REQUIRE_SLURM") == "1":
        pytest.fail(f"REQUIRE_SLURM=1, but {why}", pytrace=False)
    pytest.skip(f"needs a Slurm cluster: {why}")
