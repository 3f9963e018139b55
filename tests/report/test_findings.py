"""What a report warns of in measurements of speed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest

from ablate.report.content import Content
from ablate.report.findings import _of_speeds

GOOD = {"variant": "a", "drifted": False, "drift_known": True, "complete": True}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, []),
        ({"drifted": True}, ["the speed of the machine changed during the measurement: a"]),
        ({"drift_known": False}, ["whether the speed of the machine changed is unknown: a"]),
        ({"complete": False}, ["fewer windows than requested, in some mode: a"]),
    ],
)
def test_measurements_that_cannot_be_trusted_are_told(changes: dict[str, Any], told: list[str]) -> None:
    content = cast(Content, SimpleNamespace(speed=pd.DataFrame([GOOD | changes]), speeds=[], damaged_speeds=[]))
    assert [finding.sentence for finding in _of_speeds(content)] == told


def test_measurements_without_a_checksum_are_told() -> None:
    older = SimpleNamespace(variant="a", found=SimpleNamespace(checksum=None))
    content = cast(Content, SimpleNamespace(speed=pd.DataFrame([GOOD]), speeds=[older], damaged_speeds=[]))
    assert [finding.kind for finding in _of_speeds(content)] == ["unchecked"]
