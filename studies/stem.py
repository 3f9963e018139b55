"""Is it the stem that makes a vision transformer work: patches, convolutions, or a random map that is not trained?

    ablate run stem --scale digits   # three minutes on 2 cores, no GPU
    ablate run stem --scale cifar10 --data cifar10=PATH  # one GPU; not measured yet
    ablate run stem --scale imagenet --on slurm --data imagenet=PATH  # not measured yet

Test top-1 of the digits, 4 seeds, 95 % t intervals: with a convolutional stem attention, 95.49 ± 1.59, patch FF,
95.83 ± 0.95, and no mixing, 95.63 ± 0.56, are alike; a frozen random stem is as good as a trained one.
"""

from ablate import CIFAR10, DIGITS, IMAGENET, Claim, Study, top1

study = Study(
    question="Does a convolutional or a frozen random stem change what the mixer is worth?",
    axes={"mixer": ["attention", "patch_ff", "none"], "stem": ["patchify", "conv", "frozen"]},
    cross=True,
    fixed={"pool": "avg", "norm_before_pool": True},
    # The convolutional stem halves the image and needs patches of a power of 2.
    scales={
        "digits": DIGITS.replace(expect="about three minutes on 2 cores", patch_size=4),
        "cifar10": CIFAR10,
        "imagenet": IMAGENET,
    },
    seeds=4,
    claims=[
        Claim("Attention gains from a convolutional stem", top1(stem="conv") - top1() > 0),
        Claim(
            "Without mixing, a convolutional stem gains more than with attention",
            (top1(mixer="none", stem="conv") - top1(mixer="none")) - (top1(stem="conv") - top1()) > 0,
        ),
        Claim("Attention loses by a stem that is random and not trained", top1(stem="frozen") - top1() < 0),
        Claim(
            "With a convolutional stem, attention still beats no mixing",
            top1(mixer="none", stem="conv") - top1(stem="conv") < 0,
        ),
    ],
)
