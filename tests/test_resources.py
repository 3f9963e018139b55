"""How a run is executed, which never reaches its key."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from ablate.registry import SpecError
from ablate.resources import Resources
from ablate.spec import Run


def test_no_resource_is_a_field_of_run() -> None:
    """What must not change the expected result must not change the key."""
    assert not {item.name for item in fields(Resources)} & {item.name for item in fields(Run)}


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("threads", 0, "threads is 0; wanted is a whole number, 1 or more"),
        ("threads", "two", "threads is 'two'; wanted is a whole number"),
        ("threads", True, "threads is True; wanted is a whole number"),
        ("threads", 1.5, "threads is 1.5; wanted is a whole number"),
        ("workers", -1, "workers is -1; wanted is a whole number, 0 or more"),
    ],
)
def test_wrong_values_are_refused_in_a_sentence(name: str, value: Any, wanted: str) -> None:
    with pytest.raises(SpecError) as error:
        Resources(**{name: value})
    assert wanted in str(error.value)


def test_they_survive_being_written_down() -> None:
    resources = Resources(threads=2, workers=1, device="cpu", data={"mine": "/somewhere"})
    assert Resources(**resources.fields()) == resources
