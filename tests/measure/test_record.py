"""A measurement's file: what is kept, what is refused, what it sums up to."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import orjson
import pytest

from ablate.measure import record as speed_record
from ablate.measure.protocol import FULL, QUICK
from ablate.measure.record import Measurement, percentiles, read, write
from ablate.measure.subjects import Subject
from ablate.spec.errors import SpecError
from ablate.store import records
from tests.measure.fake import measurement
from tests.tiny import TINY

SUBJECT = Subject("tiny", TINY, "", 1, 10)


def found(**more: Any) -> Measurement:
    return measurement(SUBJECT, [90.0, 100.0, 130.0], **more)


def test_it_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = write(tmp_path, found())
    assert path.name == f"{SUBJECT.key}-fp32-eager-nchw-inference-64.json"
    assert read(path) == found()


def test_the_file_holds_what_a_table_shows(tmp_path: Path) -> None:
    content = orjson.loads(write(tmp_path, found()).read_bytes())
    assert content["summary"]["rate"] == 100.0
    assert (content["summary"]["q1"], content["summary"]["q3"]) == (95.0, 115.0)
    assert content["summary"]["macs_per_s"] == 100 * 1000
    assert content["summary"]["mfu"] is None, "of training only"


def test_mfu_counts_the_backward_pass_twice() -> None:
    summary = found(mode="bf16-eager-nchw-training", peak={"macs_per_s": 1e6}).summary()
    assert summary["macs_per_s"] == 3 * 100 * 1000
    assert summary["mfu"] == pytest.approx(0.3)


def test_more_than_the_device_can_do_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"tiny in mode .* shows 1e\+05 MACs/s, above the device's measured peak of 9e"):
        write(tmp_path, found(peak={"macs_per_s": 9e4}))
    assert list(tmp_path.iterdir()) == []
    write(tmp_path, found(peak={"macs_per_s": 1.1e5}))


def test_out_of_memory_is_kept_without_a_rate(tmp_path: Path) -> None:
    path = write(tmp_path, measurement(SUBJECT, [], status=speed_record.OUT_OF_MEMORY, peak_memory_mib=None))
    assert read(path).status == "out of memory"
    assert read(path).summary()["rate"] is None


def test_a_request_wants_the_same_versions_and_as_long_a_look() -> None:
    versions = {"torch": "2.0", "timm": "1.0"}
    assert found().answers(QUICK, versions)
    assert not found().answers(FULL, versions)
    assert not found().answers(QUICK, versions | {"torch": "2.1"})
    assert not found(method=0).answers(QUICK, versions)


def test_latency_percentiles() -> None:
    assert percentiles([float(n) for n in range(101)]) == {"p50": 50.0, "p90": 90.0, "p99": 99.0, "n": 101}
    assert percentiles([1.0]) is None


def test_a_device_s_folder_says_all_of_the_machine_that_changes_a_speed() -> None:
    where: dict[str, Any] = {
        "device": "NVIDIA H100 80GB HBM3",
        "device_type": "cuda",
        "versions": {"torch": "2.11.0+cu130"},
        "resources": {"threads": 8},
    }
    assert speed_record.device_folder(where) == "nvidia-h100-80gb-hbm3-torch-2.11.0-cu130"
    where |= {"device": "AMD EPYC", "device_type": "cpu"}
    assert speed_record.device_folder(where) == "amd-epyc-8-thread-torch-2.11.0-cu130"


def test_runs_do_not_see_measurements(tmp_path: Path) -> None:
    write(tmp_path / "speed" / "a-cpu", found())
    assert records.index(tmp_path) == {}
    assert [(folder, one.batch) for folder, one in speed_record.read_all(tmp_path)] == [("a-cpu", 64)]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{", "cannot read the measurement"),
        (b"[]", "must be a speed measurement, got no schema number"),
        (b'{"schema": 99}', r"has schema 99; this version of ablate knows up to 1: upgrade it"),
        (b'{"schema": 1}', "lacks subject, mode"),
    ],
)
def test_a_damaged_file_is_a_sentence(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=told):
        read(path)


OTHER_VALUES: list[object] = [[], {}, [1], 1, True, "x", {"x": 1}]


@pytest.mark.parametrize("name", [item.name for item in fields(Measurement)])
def test_values_of_another_type_are_a_sentence(tmp_path: Path, name: str) -> None:
    """What is read has a name, rates and a summary; what is not is refused with the path."""
    path = write(tmp_path, found())
    content = orjson.loads(path.read_bytes())
    errors = []
    for value in OTHER_VALUES:
        path.write_bytes(orjson.dumps(content | {name: value}))
        try:
            one = read(path)
        except SpecError as error:
            errors.append(str(error))
        else:
            assert isinstance(one.name, str)
            assert isinstance(one.begun, str)
            assert one.summary()
    assert len(errors) >= 4
    assert all(str(path) in error for error in errors)


def test_every_field_is_in_the_file(tmp_path: Path) -> None:
    content = orjson.loads(write(tmp_path, found()).read_bytes())
    assert set(content) == set(asdict(found())) | {"summary"}


def test_a_measurement_that_was_edited_is_refused_and_named(tmp_path: Path) -> None:
    path = write(tmp_path / "speed" / "a-cpu", found())
    content = orjson.loads(path.read_bytes())
    for window in content["windows"]:
        window["rate"] *= 7
    path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    with pytest.raises(SpecError, match="was edited or damaged: it does not match its checksum; restore it, or delete"):
        read(path)
    assert list(speed_record.read_all(tmp_path)) == []
    assert list(speed_record.damage(tmp_path)) == [str(path)]


def test_a_measurement_older_than_checksums_is_read_and_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, found())
    content = orjson.loads(path.read_bytes())
    del content["checksum"]
    path.write_bytes(orjson.dumps(content))
    assert read(path).checksum is None


def test_other_files_among_measurements_are_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "speed" / "a-cpu", found())
    for name in (f"{path.stem} (1).json", f"{path.name}~", ".DS_Store", "x.json"):
        (path.parent / name).write_text("{")
    (path.parent / "X.json").mkdir()
    assert [one.batch for _, one in speed_record.read_all(tmp_path)] == [64]
    assert speed_record.damage(tmp_path) == {}


def test_the_committed_measurements_match_their_checksums() -> None:
    results = Path(__file__).parents[2] / "results"
    assert speed_record.damage(results) == {}
    assert {one.checksum is None for _, one in speed_record.read_all(results)} == {False}
