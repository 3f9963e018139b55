"""One rule for all randomness: a stream of random numbers is a function of what it is for.

Every draw in the suite (a module's initial weights, the order of an epoch, the offset of a picture) takes its
generator's seed from `derive`, so it depends on nothing but the parts named there: not on the variant, the number
of workers, or what was drawn before it.
"""

from __future__ import annotations

import hashlib

BEHAVIOUR = 1


def derive(*parts: int | str) -> int:
    """A 63-bit seed from the parts, such as `derive(run.seed, "order", epoch)`."""
    text = "\0".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
