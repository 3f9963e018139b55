"""A report that was written on one processor holds on another: OpenBLAS counts as if it ran on it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ablate.measure import record as speed_record
from ablate.measure.subjects import of_study
from ablate.store.root import Root
from tests.measure.fake import measurement
from tests.synthetic import fixture_study

pytestmark = pytest.mark.slow

CORES = ("Haswell", "Nehalem")
WRITE = "render(fixture_study(), 'digits', root, models=False)"
VERIFY = """
found = verify(root.reports / 'fixture_study-digits', root, fixture_study())
assert found.holds, found
print(found.figures)
"""
SCRIPT = """
import sys
from ablate.store.root import Root
from ablate.report import render
from ablate.report.verification import verify
from tests.synthetic import fixture_study

root = Root.at(sys.argv[1])
{}
"""


def on(core: str, what: str, root: Root) -> str:
    """What a process of its own prints that counts as that processor does."""
    environment = os.environ | {"OPENBLAS_CORETYPE": core, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", SCRIPT.format(what), str(root.path)]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(("written_on", "verified_on"), [CORES, CORES[::-1]])
def test_what_one_processor_writes_holds_on_another(fixture_root: Root, written_on: str, verified_on: str) -> None:
    for at, subject in enumerate(of_study(fixture_study(), "digits")):
        for batch in (1, 16, 64):
            rates = [(100 + 7 * at + seed) * batch**0.8 for seed in range(3)]
            found = measurement(subject, rates, "fp32-eager-nchw-inference", batch=batch, peak=None)
            speed_record.write(fixture_root.results / "speed" / "a-cpu", found)
    on(written_on, WRITE, fixture_root)
    assert int(on(verified_on, VERIFY, fixture_root)) > 5
