"""The command that writes a new study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablate.spec.errors import SpecError
from ablate.spec.printable import shown
from ablate.store.root import write_atomically
from ablate.study.load import named

LONGEST = 100  # letters of a name
TEMPLATE = '''"""{question}

    ablate run {name}                # what it takes: not measured yet
"""

from ablate import DIGITS, Claim, Study, top1

study = Study(
    question="{question}",
    # Each axis is a field of Run with its values, the control's first. Axes change one at a time,
    # or in all combinations with cross=True. `ablate plan {name}` shows what each variant changes.
    axes={{"mixer": ["attention", "patch_ff"]}},
    # Equal in all variants.
    fixed={{"pool": "avg", "norm_before_pool": True}},
    # Each scale sets the remaining fields; the first is the default.
    scales={{"digits": DIGITS}},
    seeds=3,
    # Judged from the confidence intervals of the records: supported, contradicted or undecided.
    claims=[Claim("Patch FF stays within 5 points", top1(mixer="patch_ff") - top1(mixer="attention") > -5)],
)
'''


def new(name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new study.")]) -> None:
    """Write a commented study to ./studies, to start from.

    Examples:
        ablate new mixers
    """
    if not name.isidentifier() or len(name) > LONGEST:
        raise SpecError(
            f"the name of a study must have only letters, digits and '_', at most {LONGEST}, and not begin with a "
            f"digit, got {shown(name)}"
        )
    path = Path("studies", f"{name}.py")
    if name in named() and not path.exists():
        raise SpecError(f"{name} is a named study, which {path} would replace; choose another name")
    if path.exists():
        raise SpecError(f"{path} exists; choose another name")
    write_atomically(path, TEMPLATE.format(name=name, question="What does this study ask?").encode())
    typer.echo(f"wrote {path}; next: ablate plan {name}")
