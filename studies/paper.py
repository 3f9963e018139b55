"""The paper's models, as printed: table 1 and section 3.4 of *Do You Even Need Attention?* (arXiv 2105.02723).

    ablate run paper --scale digits   # six minutes on 2 cores, no GPU
    ablate run paper --scale cifar10 --data cifar10=PATH  # one GPU; not measured yet
    ablate run paper --scale imagenet --on slurm --data imagenet=PATH  # docs/imagenet.md; not measured yet
    ablate table paper  # next to the published numbers

Test top-1 of the digits, 4 seeds, 95 % t intervals, at toy sizes: FF is ahead at each, by 10.76 ± 2.12 points at
Tiny. The larger DeiTs do not train well at this learning rate, so it says nothing about ImageNet.
"""

from ablate import ATTENTION_ONLY, CIFAR10, DEIT, DIGITS, FEED_FORWARD, SIZES, Claim, Scale, Study, params, top1

# The README of its code trains with dropout, and its exceptions from weight decay miss the position embedding.
TRAINED = {"drop": 0.1, "decay_pos_embed": True}


def models(tiny, base, large):
    """DeiT and the paper's model at each size, and attention alone at the smallest."""
    named = {"Tiny": tiny, "Base": base, "Large": large}
    blocks = {"DeiT": {}, "FF": {**FEED_FORWARD, **TRAINED}}
    family = {f"{block}-{size}": {**named[size], **blocks[block]} for size in named for block in blocks}
    return {**family, "Attention only": {**tiny, **ATTENTION_ONLY, **TRAINED}}


def toy(dim, depth, patch_size):
    """A size for small images, with heads of 16 or more."""
    return {"dim": dim, "depth": depth, "heads": max(dim // 64, 2), "patch_size": patch_size}


IMAGENET_MODELS = models(
    SIZES["tiny"] | {"patch_size": 16}, SIZES["base"] | {"patch_size": 16}, SIZES["large"] | {"patch_size": 32}
)

study = Study(
    question="Do the paper's models need attention, when all are trained by one recipe?",
    axes={"model": IMAGENET_MODELS},
    fixed={"pool": "cls", "mlp_ratio": 4.0},
    scales={
        "digits": DIGITS.replace(
            expect="about six minutes on 2 cores", axes={"model": models(toy(32, 3, 3), toy(64, 3, 3), toy(96, 4, 6))}
        ),
        "cifar10": CIFAR10.replace(axes={"model": models(toy(96, 6, 4), toy(192, 6, 4), toy(256, 8, 8))}),
        "imagenet": Scale({**DEIT, "image_size": 224}, expect="300 epochs on many GPUs; not measured yet", seeds=1),
    },
    seeds=4,
    claims=[
        *(
            Claim(f"{size}: without attention, accuracy falls", top1(f"FF-{size}") - top1(f"DeiT-{size}") < 0)
            for size in ("Tiny", "Base", "Large")
        ),
        Claim(
            "The gap is smaller at Base than at Tiny",
            (top1("FF-Base") - top1("DeiT-Base")) - (top1("FF-Tiny") - top1("DeiT-Tiny")) > 0,
        ),
        Claim("FF-Large with its coarser patches is worse than FF-Base", top1("FF-Large") - top1("FF-Base") < 0),
        Claim("Attention alone is worse than feed-forward layers alone", top1("Attention only") - top1("FF-Tiny") < 0),
        Claim("FF-Base has fewer parameters than DeiT-Base", params("FF-Base") < params("DeiT-Base")),
    ],
)
