"""Cancelling signals only processes that hold a lease: a forged one reaches no other process."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from typing import Any

import pytest

from ablate.dispatch import cancel, lease
from ablate.dispatch.lease import Owner
from ablate.dispatch.status import StatusMonitor
from ablate.dispatch.worker import request
from ablate.spec.resources import Resources
from ablate.store.root import Root
from tests.tiny import TINY


@pytest.mark.parametrize(
    "forged",
    [
        {"pid": -1},
        {"pid": 0},
        {"pid": 1},
        {"pid": 1, "started": lease._start_time(1)},
        {"pid": 2**40},
        {"started": "1"},
        {"started": ""},
        {"host": "elsewhere", "machine": "elsewhere"},
    ],
    ids=str,
)
def test_a_forged_lease_signals_nobody(root: Root, forged: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    request(root, TINY, Resources())
    owner = replace(Owner.current("forger-0"), **forged)
    (root.run_folder(TINY.key) / "lease.1").write_text(json.dumps(asdict(owner)))
    signalled: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *given: signalled.append(given))
    monkeypatch.setattr(cancel, "WAIT_S", 0.0)
    cancel.cancel(root, StatusMonitor(root, [TINY]))
    assert signalled == []
    assert not (root.run_folder(TINY.key) / "run.json").exists()
