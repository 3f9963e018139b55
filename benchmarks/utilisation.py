"""Training images/s and MFU of DeiT's and the paper's models on random images, eager and compiled.

    python benchmarks/utilisation.py                   # small images and the small models, on the CPU, a minute
    python benchmarks/utilisation.py --device cuda     # 224 pixels, all models, bf16; within 10 minutes

MFU, model FLOPs utilisation, is 6 FLOPs per MAC (forward, and twice that backward) and training image, over the peak of
a large matrix product measured first on the same device. MACs are by formula, see `ablate.model.cost`.

The last two rows compare FF-B with itself with the token axis padded by zeros, 197 → 200 and its hidden layer
788 → 792, so that rows are aligned to 16 bytes in bf16. Its outputs are equal up to rounding, which is tested.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

from _measuring import Rate, conditions, table, windows

# isort: split
import torch
from torch import nn
from torch.nn import functional as F

from ablate import Run
from ablate.model.cost import macs
from ablate.spec.recipes import PAPER, SIZES
from ablate.spec.resources import Resources
from ablate.train.learner import Learner

CLASSES = 1000
ALIGNED = 8  # bf16 numbers in 16 bytes
DEIT = {"patch_size": 16, "mixer": "attention"}
MODELS = {
    "DeiT-Ti": DEIT | SIZES["tiny"],
    "DeiT-S": DEIT | SIZES["small"],
    "DeiT-B": DEIT | SIZES["base"],
    "FF-Ti": PAPER["linear_tiny"],
    "FF-B": PAPER["linear_base"],
}


class Padded(nn.Module):
    """A mixer over the tokens, its weights those of `PatchFF`, computed with both its widths padded by zeros."""

    def __init__(self, mixer: nn.Module) -> None:
        super().__init__()
        self.fc1, self.fc2 = mixer.fc1, mixer.fc2

    def forward(self, x: torch.Tensor, **_: object) -> torch.Tensor:
        tokens, hidden = self.fc1.in_features, self.fc1.out_features
        n, h = -tokens % ALIGNED, -hidden % ALIGNED
        mixed = F.pad(x.transpose(1, 2), (0, n))
        mixed = F.gelu(F.linear(mixed, F.pad(self.fc1.weight, (0, n, 0, h)), F.pad(self.fc1.bias, (0, h))))
        mixed = F.linear(mixed, F.pad(self.fc2.weight, (0, h, 0, n)), F.pad(self.fc2.bias, (0, n)))
        return mixed[..., :tokens].transpose(1, 2)


def pad(model: nn.Module) -> None:
    """Exchange the token mixer of every block for its padded form."""
    for block in model.blocks:
        block.attn = Padded(block.attn)


def peak(device: torch.device, dtype: torch.dtype, side: int, seconds: float) -> Rate:
    """FLOPs per second of a product of two square matrices, the peak for MFU."""
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return windows(lambda: a @ b, 2 * side**3, device, seconds, 3)


def rate(
    run: Run, device: torch.device, seconds: float, *, compiled: bool, change: Callable[[nn.Module], None] | None = None
) -> Rate:
    """Training images per second of the loop's own step, optimiser included."""
    learner = Learner(run, 3, CLASSES, device, Resources())
    if change:
        change(learner.model)
    if compiled:
        learner.net.compile()
    learner.net.train()
    images = torch.randn(run.batch_size, 3, run.image_size, run.image_size, device=device)
    labels = torch.randint(CLASSES, (run.batch_size,), device=device)
    return windows(lambda: learner.step(iter([(images, labels)]), 0, 0), run.batch_size, device, seconds, 3)


def rows(chosen: argparse.Namespace, device: torch.device, flops: float) -> Iterator[tuple[str, ...]]:
    """Print one row per model and mode, then FF-B padded."""
    for name in chosen.models:
        for mode in chosen.modes:
            yield _row(chosen, device, flops, name, mode, None)
    if "FF-B" in chosen.models:
        for mode in chosen.modes:
            yield _row(chosen, device, flops, "FF-B", mode, pad)


def _row(
    chosen: argparse.Namespace,
    device: torch.device,
    flops: float,
    name: str,
    mode: str,
    change: Callable[[nn.Module], None] | None,
) -> tuple[str, ...]:
    fields = {"dataset": "pictures", "image_size": chosen.side, "batch_size": chosen.batch_size, "epochs": 2}
    run = Run.from_dict({**MODELS[name], **fields, "precision": chosen.precision})
    found = rate(run, device, chosen.seconds, compiled=mode == "compiled", change=change)
    utilisation = 6 * macs(run, 3, CLASSES) * found.median / flops
    label = f"{name}, tokens {'padded' if change else ''}".removesuffix(", tokens ")
    return label, mode, f"{macs(run, 3, CLASSES) / 1e9:.2f}", str(found), f"{100 * utilisation:.1f} %"


def main() -> None:
    """Print the peak and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--models", nargs="+", choices=MODELS, help="by default all on a GPU, the tiny ones on the CPU")
    parser.add_argument("--modes", nargs="+", choices=("eager", "compiled"))
    parser.add_argument("--batch-size", type=int, help="256 on a GPU, else 4")
    parser.add_argument("--side", type=int, help="of the images: 224 on a GPU, else 64")
    parser.add_argument("--precision", choices=("bf16", "fp16", "fp32"), help="bf16 on a GPU, else fp32")
    parser.add_argument("--matrix", type=int, help="side of the matrices: 8,192 on a GPU, else 1,024")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a window")
    chosen = parser.parse_args()
    device = torch.device(chosen.device)
    large = device.type == "cuda"
    chosen.models = chosen.models or (list(MODELS) if large else ["DeiT-Ti", "FF-Ti"])
    chosen.modes = chosen.modes or (["eager", "compiled"] if large else ["eager"])
    chosen.batch_size = chosen.batch_size or (256 if large else 4)
    chosen.side = chosen.side or (224 if large else 64)
    chosen.precision = chosen.precision or ("bf16" if large else "fp32")
    torch.set_num_threads(chosen.threads)
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[chosen.precision]
    more = f"{chosen.precision}, batch {chosen.batch_size}, {chosen.side} pixels; median (lowest–highest, n windows)"
    print(conditions(device, more))
    side = chosen.matrix or (8192 if large else 1024)
    flops = peak(device, dtype, side, chosen.seconds).median
    print(f"Peak of a product of {side:,}×{side:,} matrices in {chosen.precision}: {flops / 1e12:.3g} TFLOP/s\n")
    table(("model", "mode", "GMACs", "training images/s", "MFU"), rows(chosen, device, flops))


if __name__ == "__main__":
    main()
