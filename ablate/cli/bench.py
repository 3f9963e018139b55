"""The command that measures speed and memory of models."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from ablate.cli._options import Folder, Json, OptionalName, ScaleName, print_json
from ablate.cli._rates import as_json_content, print_rates, sentences
from ablate.measure.progress import Watch
from ablate.measure.request import found_of, plan_of, subjects_of
from ablate.measure.session import Plan, Session
from ablate.measure.subjects import Subject
from ablate.results.ranking import rankings, stability
from ablate.spec.errors import SpecError
from ablate.store.root import Root
from ablate.study.load import load
from ablate.train import devices

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
WHAT, HOW = "What to measure", "How to measure"  # groups of options

Models = Annotated[
    str | None,
    typer.Option(
        metavar="A,B",
        help="Models at ImageNet size: linear_tiny, ablate_tiny:mixer=pool, or the groups paper and mixers.",
        rich_help_panel=WHAT,
    ),
]
Timm = Annotated[str | None, typer.Option(metavar="A,B", help="Names of timm models.", rich_help_panel=WHAT)]
Modes = Annotated[
    str | None,
    typer.Option(
        metavar="A,B",
        help="Modes, such as bf16-compile-training: a precision (fp32, bf16, tf32, fp16, bf16pure), eager or compile, "
        "nchw or nhwc, inference or training. A part that is left out takes all its default values.",
        rich_help_panel=WHAT,
    ),
]
Batches = Annotated[
    str | None,
    typer.Option(
        metavar="N,N", help="Batch sizes, the reference batch first; 1 gives the latency.", rich_help_panel=WHAT
    ),
]
Quick = Annotated[bool, typer.Option("--quick", help="Use short windows; the records say so.", rich_help_panel=HOW)]
Budget = Annotated[
    str | None,
    typer.Option(
        metavar="9m",
        help="Stop after this time: short windows, the reference batch of each mode first.",
        rich_help_panel=HOW,
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Measure again, and replace existing records.", rich_help_panel=HOW)
]
Ranking = Annotated[
    bool, typer.Option("--ranking", help="Measure nothing; compare the recorded speeds.", rich_help_panel=HOW)
]
Device = Annotated[
    str,
    typer.Option(help="auto (the first CUDA device, else the CPU) or the name of a torch device.", rich_help_panel=HOW),
]
Threads = Annotated[int | None, typer.Option(help="CPU threads; by default all cores.", rich_help_panel=HOW)]


def bench(
    name: OptionalName = None,
    scale: ScaleName = None,
    root: Folder = None,
    models: Models = None,
    timm: Timm = None,
    modes: Modes = None,
    batches: Batches = None,
    quick: Quick = False,
    time_budget: Budget = None,
    force: Force = False,
    ranking: Ranking = False,
    device: Device = "auto",
    threads: Threads = None,
    as_json: Json = False,
) -> int:
    """Measure speed and memory of the models of a study, side by side.

    Each measurement is kept at once; after an interruption, the same command measures the rest.

    Examples:
        ablate bench quickstart --quick
        ablate bench --models paper --modes bf16 --time-budget 9m
    """
    folder = Root.at(root)
    subjects = subjects_of(load(name) if name else None, scale, _words(models), _words(timm))
    if ranking:
        return _conclude(folder, subjects, None, as_json=as_json)
    devices.check(device)
    plan = plan_of(
        subjects,
        modes=modes,
        batches=_batches(batches),
        quick=quick,
        device=device,
        threads=threads,
        budget_s=_seconds(time_budget),
        force=force,
    )
    return _conclude(folder, subjects, _measure(folder, plan, as_json=as_json), as_json=as_json)


def _measure(root: Root, plan: Plan, *, as_json: bool) -> Session:
    """Measure, and show the progress; on standard error where JSON is requested."""
    root.make_writable()
    with Watch(sys.stderr if as_json else sys.stdout) as watch:
        watch.console.print(_announcement(plan), soft_wrap=True, markup=False)
        session = Session(root, plan, watch)
        session.run()
    return session


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _batches(text: str | None) -> Sequence[int]:
    if text is None:
        return ()
    words = _words(text)
    if not words or not all(re.fullmatch(r"[1-9]\d*", word) for word in words):
        raise SpecError(f"--batches must be whole numbers above 0, such as 64,1,16, got {text!r}")
    return list(dict.fromkeys(int(word) for word in words))


def _seconds(text: str | None) -> float | None:
    """Return a time such as 9m, 540s or 540 in seconds."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not found or float(found[1]) <= 0:
        raise SpecError(f"--time-budget must be a time such as 9m or 540s, got {text!r}")
    return float(found[1]) * UNITS[found[2]]


def _announcement(plan: Plan) -> str:
    """Return what will be measured, and whether other processes use the machine."""
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    busy = f"; the machine is busy (load {load:.1f} on {cores} cores)" if load > cores / 4 else ""
    batches = f"batches {', '.join(map(str, plan.batches))}" if plan.batches else "the default batches"
    size = f"{_counted(len(plan.subjects), 'model')}, {_counted(len(plan.modes), 'mode')}, {batches}"
    return f"{size}; {plan.protocol.name} protocol, {_counted(plan.threads, 'CPU thread')}{busy}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _conclude(root: Root, subjects: Sequence[Subject], session: Session | None, *, as_json: bool) -> int:
    """Print the recorded rates, and which model is faster in how many modes."""
    found = found_of(root, subjects, session)
    ranked = stability(rankings(found))
    failures = session.failures if session else []
    time_is_up = session is not None and session.time_is_up
    if as_json:
        print_json(as_json_content(found, ranked) | {"failures": failures, "time_is_up": time_is_up})
        return int(bool(failures))
    print_rates(found)
    for sentence in sentences(found, ranked, subjects[0].label if session else None):
        typer.echo(sentence)
    if not found:
        typer.echo("there are no measurements yet")
    if time_is_up:
        typer.echo("The time is up. Run the same command to resume.")
    for sentence in failures:
        typer.echo(f"failed  {sentence}")
    if session and session.folder:
        typer.echo(f"records: {session.folder}")
    return int(bool(failures))
