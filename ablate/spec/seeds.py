"""Seeds of all random numbers, derived from their purpose.

Every random draw (the initial weights of a module, the order of an epoch, the offset of an image) seeds its generator
with `derive`. So it depends only on the parts passed there, not on the variant, the number of workers or earlier draws.
"""

from __future__ import annotations

import hashlib

BEHAVIOUR = 1


def derive(*parts: int | str) -> int:
    """Return a 63-bit seed for some parts, such as `derive(run.seed, "order", epoch)`."""
    text = "\0".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
