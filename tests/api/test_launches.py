"""A study made in Python is planned, trained from a thread, and read, without a file."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import ablate
from tests.tiny import TINY

FIELDS = {name: value for name, value in TINY.to_dict().items() if name not in ("mixer", "seed")}
STUDY = ablate.Study(
    question="Does attention help?",
    name="mine",
    axes={"mixer": ["attention", "none"]},
    scales={"tiny": ablate.Scale({**FIELDS, "epochs": 1})},
    seeds=1,
    claims=[ablate.Claim("Attention helps", ablate.top1("attention") - ablate.top1("none") > 0)],
)


def test_a_study_without_a_file_is_trained_from_a_thread(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [len(keys) for keys in ablate.plan(STUDY, root=tmp_path)["missing"]] == [1, 1]
    found: list[ablate.Launched] = []
    thread = threading.Thread(
        target=lambda: found.append(ablate.run(STUDY, root=tmp_path, jobs=1, threads=1, device="cpu"))
    )
    thread.start()
    thread.join()
    assert found[0].complete
    assert not found[0].failed
    assert list(found[0].frame["variant"]) == ["attention", "none"]
    assert list(ablate.status(STUDY, root=tmp_path)["state"]) == ["done", "done"]
    assert list(ablate.table(STUDY, root=tmp_path)["n"]) == [1, 1]
    assert len(ablate.judge(STUDY, root=tmp_path)) == 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"on": "moon"}, "unknown place"), ({"threds": 1}, "unknown resource"), ({"scale": "x"}, "unknown scale")],
)
def test_a_wrong_request_is_a_sentence(tmp_path: Path, wrong: dict[str, str], words: str) -> None:
    with pytest.raises(ablate.SpecError, match=words):
        ablate.run(STUDY, root=tmp_path, **wrong)  # type: ignore[arg-type]
