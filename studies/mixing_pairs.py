"""Can a task that needs two places at once be learned without token mixing? Two digits in an image, the same or not.

    ablate run mixing_pairs --scale digits   # six minutes on 2 cores, no GPU

Test top-1 of 2,880 pairs, 4 seeds, 95 % t intervals: attention 95.52 ± 0.84, pool 94.38 ± 0.27, patch_ff
89.31 ± 0.89; none 49.84 ± 3.77, which is chance, and with the norm after the pooling 57.30 ± 4.63.
"""

from ablate import PAIRS, Claim, Study, top1

MIXERS = ("attention", "patch_ff", "pool")
AFTER = "none, norm after the pooling"

study = Study(
    question="Which models can tell whether two digits in one image are the same?",
    axes={
        "mixer": {
            **{mixer: {"mixer": mixer} for mixer in (*MIXERS, "none")},
            AFTER: {"mixer": "none", "norm_before_pool": False},
        }
    },
    fixed={"pool": "avg"},
    scales={"digits": PAIRS},
    seeds=4,
    claims=[
        # No patch contains parts of both digits, and one digit alone does not determine the label: chance is 50 %.
        Claim("Without mixing, the negative control stays at or under 55 %", top1("none") < 55),
        *(Claim(f"{mixer} learns the task: above 80 %", top1(mixer) > 80) for mixer in MIXERS),
        Claim("The last norm, after the pooling, couples the tokens", top1(AFTER) - top1("none") > 0),
    ],
)
