"""Which device a name means, against a pretended torch: CUDA devices that are there, hidden, or cannot be used."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import pytest
import torch

from ablate.spec.errors import SpecError
from ablate.train import devices, memory

OLD_DRIVER = "The NVIDIA driver on your system is too old (found version 11040)."


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU, no driver, no variables."""
    names = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "LOCAL_WORLD_SIZE", "SLURM_NTASKS_PER_NODE")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(devices, "signs", list)
    devices._warn_once.cache_clear()
    pretend(monkeypatch, 0)


def pretend(monkeypatch: pytest.MonkeyPatch, count: int, signs: tuple[str, ...] = ("/dev/nvidia0",)) -> list[Any]:
    """Let torch find some CUDA devices; return the calls that would initialise CUDA and choose a device."""
    calls: list[Any] = []

    def init() -> None:
        if not count:
            raise RuntimeError(OLD_DRIVER)
        calls.append("init")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "init", init)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: calls.append(str(device)))
    if count:
        monkeypatch.setattr(devices, "signs", lambda: list(signs))
    return calls


def test_auto_is_a_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(devices.find("auto")) == "cpu"
    assert pretend(monkeypatch, 1) == []
    assert str(devices.find("auto")) == "cuda"


def test_cuda_is_initialised_before_its_memory_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch refuses to reset the peak of a device such as cuda:0 before that."""
    calls = pretend(monkeypatch, 2)
    assert str(devices.find("cuda:1")) == "cuda:1"
    assert calls == ["init", "cuda:1"]
    calls.clear()
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: calls.append(f"reset {device}"))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 3 * memory.MIB)
    with memory.peak(torch.device("cuda:0")) as found:
        pass
    assert calls == ["init", "reset cuda:0"]
    assert found == {"peak_memory_mib": 3.0}


@pytest.mark.parametrize(
    ("name", "count", "sentence"),
    [
        ("cuda", 0, "device cuda cannot be used on this machine: The NVIDIA driver on your system is too old"),
        ("cuda:0", 0, "device cuda:0 cannot be used on this machine: The NVIDIA driver"),
        ("cuda:2", 2, "device cuda:2 cannot be used on this machine: torch finds 2 CUDA devices"),
        ("mps", 0, "device mps cannot be used on this machine: torch finds no MPS device; use --device auto or cpu"),
        ("nan", 0, "device must be auto, cpu, cuda, cuda:N, mps, xpu or xpu:N, got 'nan'"),
        (" ", 0, "got ' '"),
        ("meta", 0, "got 'meta'"),
    ],
)
def test_a_device_that_cannot_be_used_is_a_sentence(
    name: str, count: int, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, count)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for look in (devices.check, devices.find):
        with pytest.raises(SpecError) as error:
            look(name)
        assert sentence in str(error.value)


def test_a_hidden_gpu_is_named_as_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    with pytest.raises(SpecError, match=r"the environment hides every GPU \(CUDA_VISIBLE_DEVICES\)"):
        devices.check("cuda")


@pytest.mark.parametrize("warns", [True, False], ids=["torch warns", "torch raises"])
def test_a_gpu_that_auto_cannot_use_is_reported_once(
    warns: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def is_available() -> bool:
        if warns:
            warnings.warn("CUDA initialization: forward compatibility\nmore", UserWarning, stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    monkeypatch.setattr(devices, "signs", lambda: ["/dev/dxg"])
    why = "CUDA initialization: forward compatibility" if warns else OLD_DRIVER.rstrip(".")
    with caplog.at_level(logging.WARNING):
        assert [str(devices.find("auto")) for _ in range(3)] == ["cpu"] * 3
        assert devices.gpus() == []
    assert caplog.messages == [f"torch {torch.__version__} cannot use the GPU of this machine (/dev/dxg): {why}"]


def test_a_gpu_that_the_user_hides_is_not_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(devices, "signs", lambda: ["/dev/nvidia0"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert devices.gpus() == []
    assert not caplog.messages


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("0,-1,1", ["0"]),
        ("0,,1", ["0"]),
        (" 0 , 3 ", ["0", "3"]),
        ("0,0", []),
        ("1,0,1", []),
        ("0,none,0", ["0"]),
        ("GPU-77aa,GPU-12", ["GPU-77aa", "GPU-12"]),
        ("MIG-1f2e, MIG-77aa", ["MIG-1f2e", "MIG-77aa"]),
        ("٣", []),
    ],
)
def test_the_list_of_visible_gpus_is_read_as_cuda_does(
    text: str | None, expected: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", text)
    assert devices.visible() == expected


@pytest.mark.parametrize(
    ("text", "count", "expected"),
    [
        (None, 2, ["0", "1"]),
        ("3,5", 2, ["3", "5"]),
        ("0,7", 1, ["0"]),  # there is no GPU 7, which torch knows
        ("MIG-a,MIG-b", 1, ["MIG-a", "MIG-b"]),  # each process sees one of them
        ("0,1", 0, []),
    ],
)
def test_gpus_are_those_that_torch_counts(
    text: str | None, count: int, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on WSL2 and ROCm, where no file /dev/nvidia0 is."""
    pretend(monkeypatch, count, ("/dev/dxg",))
    if text is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", text)
    assert devices.gpus() == expected


def test_without_a_sign_of_a_gpu_torch_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 2)
    monkeypatch.setattr(devices, "signs", list)
    assert devices.gpus("auto") == []
    assert devices.gpus("cuda") == ["0", "1"], "it is asked when the user names the device"


@pytest.mark.parametrize(("hip", "expected"), [("6.4", "HIP_VISIBLE_DEVICES"), (None, "CUDA_VISIBLE_DEVICES")])
def test_rocm_has_its_own_variable(hip: str | None, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "hip", hip)
    assert devices.limiting() == "CUDA_VISIBLE_DEVICES"
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "1")
    assert devices.limiting() == expected


@pytest.mark.parametrize(
    ("environment", "count", "rank", "expected"),
    [
        ({"LOCAL_WORLD_SIZE": "2"}, 2, 1, "cuda:1"),
        ({"SLURM_NTASKS_PER_NODE": "4"}, 4, 3, "cuda:3"),
        ({"SLURM_NTASKS_PER_NODE": "4"}, 1, 3, "cuda:0"),  # Slurm shows each task its own GPU
        ({"LOCAL_WORLD_SIZE": "4"}, 2, 0, "got 4 processes and 2 GPUs on this machine; use --gpus-per-run 2"),
        ({"LOCAL_WORLD_SIZE": "2"}, 1, 1, "got 2 processes and 1 GPUs"),
        ({"SLURM_NTASKS_PER_NODE": "4(x2)"}, 2, 0, "got 4 processes and 2 GPUs"),
        ({}, 2, 2, "got 3 processes and 2 GPUs"),
    ],
)
def test_each_process_has_a_gpu(
    environment: dict[str, str], count: int, rank: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, count)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if expected.startswith("cuda"):
        assert str(devices.find("auto", rank, 8)) == expected
        return
    with pytest.raises(SpecError) as error:
        devices.find("auto", rank, 8)
    assert expected in str(error.value)
