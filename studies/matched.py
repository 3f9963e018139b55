"""Does the comparison with attention hold at equal parameters, and at equal MACs?

    ablate run matched --scale digits   # four minutes on 2 cores, no GPU
    ablate run matched --scale cifar10 --data cifar10=PATH  # one GPU; not measured yet
    ablate run matched --scale imagenet --on slurm --data imagenet=PATH  # not measured yet

Test top-1 of the digits, 4 seeds, 95 % t intervals: patch FF is +6.81 ± 2.81 points ahead of attention at equal
parameters and +7.85 ± 3.22 at equal MACs.
"""

from ablate import CIFAR10, DIGITS, IMAGENET, Claim, Study, params, top1

study = Study(
    question="Does the comparison with attention hold at equal parameters and at equal MACs?",
    axes={"mixer": ["attention", "patch_ff", "none"], "match": ["none", "params", "macs"]},
    fixed={"pool": "avg", "norm_before_pool": True},
    scales={"digits": DIGITS.replace(expect="about four minutes on 2 cores"), "cifar10": CIFAR10, "imagenet": IMAGENET},
    seeds=4,
    claims=[
        Claim(
            "At equal parameters, patch FF stays within 5 points of attention",
            top1(mixer="patch_ff", match="params") - top1() > -5,
        ),
        Claim(
            "At equal MACs, patch FF stays within 5 points of attention",
            top1(mixer="patch_ff", match="macs") - top1() > -5,
        ),
        Claim("At equal parameters, attention beats no mixing", top1(mixer="none", match="params") - top1() < 0),
        Claim("At equal MACs, attention beats no mixing", top1(mixer="none", match="macs") - top1() < 0),
        Claim("As it is, patch FF has fewer parameters", params(mixer="patch_ff", match="none") < params()),
    ],
)
