"""Is the time of a mixer linear or quadratic in the number of tokens? Measured, not trained.

    ablate bench sequence_length --threads 1 --modes fp32-eager-inference --batches 64  # six minutes on a CPU
    ablate bench sequence_length --scale cifar10  # on a GPU; not measured yet
    ablate bench sequence_length --scale imagenet  # DeiT-Ti's width, on a GPU; not measured yet
    ablate claims sequence_length

The whole model's time on one thread of an AMD EPYC, from 16 to 400 tokens, grows as a power of the tokens: 1.24 ± 0.08
with attention, 1.42 ± 0.17 with patch FF four tokens wide, 1.08 ± 0.13 with patch FF of a fixed width.
"""

from ablate import CIFAR10, DIGITS, IMAGENET, Claim, Study, exponent

SIDES = {"digits": (12, 21, 30, 42, 60), "cifar10": (32, 48, 64, 96, 128), "imagenet": (112, 160, 224, 320, 448)}
SCALES = {
    "digits": DIGITS.replace(expect="about six minutes on one core, for one mode and one batch size"),
    "cifar10": CIFAR10,
    "imagenet": IMAGENET,
}
RATIO, FIXED = "patch_ff, 4 tokens wide", "patch_ff, fixed width"


def axes(hidden, sides):
    """Three mixers at every size of the image; the fixed width is four times the tokens of the scale's usual size."""
    wide = {"mixer": "patch_ff", "token_ratio": 4.0}
    return {
        "layer": {"attention": {}, RATIO: wide, FIXED: {"mixer": "patch_ff", "token_hidden": hidden}},
        "image_size": sides,
    }


HIDDEN = {"digits": 64, "cifar10": 256, "imagenet": 784}

study = Study(
    question="Does a feed-forward layer over the patches scale better with their number than attention?",
    axes=axes(HIDDEN["imagenet"], SIDES["imagenet"]),
    cross=True,
    fixed={"pool": "avg", "norm_before_pool": True},
    scales={name: scale.replace(axes=axes(HIDDEN[name], SIDES[name])) for name, scale in SCALES.items()},
    benchmark_only=True,
    claims=[
        Claim("Attention takes more than linear time", exponent(layer="attention") > 1),
        Claim("Patch FF of four tokens' width takes more than linear time", exponent(layer=RATIO) > 1),
        Claim(
            "At a fixed width, patch FF scales better than at four tokens'",
            exponent(layer=FIXED) - exponent(layer=RATIO) < 0,
        ),
        Claim("At a fixed width, patch FF scales better than attention", exponent(layer=FIXED) - exponent() < 0),
        Claim("At four tokens' width, patch FF scales worse than attention", exponent(layer=RATIO) - exponent() > 0),
    ],
)
