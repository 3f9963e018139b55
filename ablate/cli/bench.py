"""The command that measures speed and memory of a study's models."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from ablate.cli._options import Folder, Json, ScaleName, _study_names, print_json
from ablate.cli._rates import as_json_content, print_rates, sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ablate.measure.frames import Measured
    from ablate.measure.protocol import Protocol
    from ablate.measure.session import Plan, Session
    from ablate.measure.subjects import Subject
    from ablate.store.root import Root

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


Study = Annotated[
    str | None,
    typer.Argument(metavar="STUDY", help="Name of a study, or path of its file.", autocompletion=_study_names),
]
Models = Annotated[
    str | None,
    typer.Option(
        metavar="A,B",
        help="Models at ImageNet's size: linear_tiny, ablate_tiny:mixer=pool, or the groups paper and mixers.",
    ),
]
Timm = Annotated[str | None, typer.Option(metavar="A,B", help="Models of timm's to measure beside.")]
Modes = Annotated[
    str | None,
    typer.Option(
        metavar="A,B",
        help="Modes, such as bf16-compile-training; a word left out stands for all usual ones. "
        "fp32 bf16 tf32 fp16 bf16pure, eager compile, nchw nhwc, inference training.",
    ),
]
Batches = Annotated[
    str | None, typer.Option(metavar="N,N", help="SlurmPool sizes, the headline first; 1 gives the latency.")
]
Quick = Annotated[bool, typer.Option("--quick", help="A look: short windows, said so in the records.")]
Budget = Annotated[
    str | None,
    typer.Option(metavar="9m", help="Stop after this long; short windows, the reference batch of each mode first."),
]
Again = Annotated[bool, typer.Option("--again", help="Measure what is there too, and replace it.")]
Ranking = Annotated[bool, typer.Option("--ranking", help="Measure nothing: say what the records say of who is faster.")]
Device = Annotated[str, typer.Option(help="auto: the first CUDA device, else the CPU; or a device's name.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads; all there are by default.")]


def bench(
    name: Study = None,
    scale: ScaleName = None,
    models: Models = None,
    timm: Timm = None,
    modes: Modes = None,
    batches: Batches = None,
    quick: Quick = False,
    time_budget: Budget = None,
    again: Again = False,
    ranking: Ranking = False,
    device: Device = "auto",
    threads: Threads = None,
    as_json: Json = False,
    root: Folder = None,
) -> int:
    """Measure speed and memory of each architecture of a study, side by side, in every mode.

    What was measured is kept as it comes: interrupted and started again, the rest is measured.

    Example: ablate bench quickstart --quick
    Example: ablate bench --models paper --modes bf16 --time-budget 9m
    """
    from ablate.measure.protocol import matrix
    from ablate.measure.session import Plan
    from ablate.store.root import Root

    place, subjects = Root.at(root), _subjects(name, scale, models, timm)
    if ranking:
        return _conclude(place, subjects, None, as_json=as_json)
    plan = Plan(
        subjects=subjects,
        modes=matrix(modes),
        batches=_batches(batches),
        protocol=_protocol(quick, time_budget),
        device=device,
        threads=_threads(threads),
        budget_s=_seconds(time_budget),
        force=again,
    )
    return _conclude(place, subjects, _measure(place, plan, as_json=as_json), as_json=as_json)


def _measure(root: Root, plan: Plan, *, as_json: bool) -> Session:
    """Measure, and tell how far it has come: beside the JSON where that is asked for."""
    from ablate.measure.progress import Watch
    from ablate.measure.session import Session

    root.make_writable()
    with Watch(sys.stderr if as_json else sys.stdout) as watch:
        watch.console.print(_announcement(plan), soft_wrap=True, markup=False)
        session = Session(root, plan, watch)
        session.run()
    return session


def _subjects(name: str | None, scale: str | None, models: str | None, timm: str | None) -> list[Subject]:
    from ablate.measure.subjects import of_names, of_study, of_timm
    from ablate.spec.errors import SpecError
    from ablate.study.load import load

    if scale and not name:
        raise SpecError(f"--scale is {scale!r} and no study is given; wanted is the study it is of")
    found = of_study(load(name), scale) if name else []
    found += of_names(_words(models)) + of_timm(_words(timm))
    if not found:
        raise SpecError("there is nothing to measure; wanted is the name of a study, --models or --timm")
    once: dict[str, Subject] = {}
    for subject in found:
        once.setdefault(subject.key, subject)  # the first is the control, under its first name
    return list(once.values())


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _batches(text: str | None) -> Sequence[int]:
    from ablate.spec.errors import SpecError

    if text is None:
        return ()
    words = _words(text)
    if not words or not all(re.fullmatch(r"[1-9]\d*", word) for word in words):
        raise SpecError(f"--batches is {text!r}; wanted are whole numbers above 0, such as 64,1,16")
    return list(dict.fromkeys(int(word) for word in words))


def _protocol(quick: bool, budget: str | None) -> Protocol:
    from ablate.measure.protocol import BUDGET, FULL, QUICK

    return QUICK if quick else BUDGET if budget else FULL


def _threads(asked: int | None) -> int:
    from ablate.spec.errors import SpecError

    if asked is not None and asked < 1:
        raise SpecError(f"--threads is {asked}; wanted is 1 or more")
    return asked or len(os.sched_getaffinity(0))


def _seconds(text: str | None) -> float | None:
    """A time such as 9m, 540s or 540."""
    from ablate.spec.errors import SpecError

    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not found or float(found[1]) <= 0:
        raise SpecError(f"--time-budget is {text!r}; wanted is a time such as 9m or 540s")
    return float(found[1]) * UNITS[found[2]]


def _announcement(plan: Plan) -> str:
    """What will be measured, and whether the machine is free for it."""
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    busy = f"; the machine is busy (load {load:.1f} on {cores} cores)" if load > cores / 4 else ""
    batches = f"batches {', '.join(map(str, plan.batches))}" if plan.batches else "the usual batches"
    size = f"{_counted(len(plan.subjects), 'model')}, {_counted(len(plan.modes), 'mode')}, {batches}"
    return f"{size}; {plan.protocol.name} protocol, {_counted(plan.threads, 'CPU thread')}{busy}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _conclude(root: Root, subjects: Sequence[Subject], session: Session | None, *, as_json: bool) -> int:
    """Print what is known by now: rates, and who is faster in how many modes."""
    from ablate.results.ranking import rankings, stability

    found = _measured(root, subjects, session)
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
        typer.echo("nothing of it is measured yet")
    if time_is_up:
        typer.echo("the time is up; the same command goes on")
    for sentence in failures:
        typer.echo(f"failed  {sentence}")
    if session and session.folder:
        typer.echo(f"records: {session.folder}")
    return int(bool(failures))


def _measured(root: Root, subjects: Sequence[Subject], session: Session | None) -> list[Measured]:
    """The records of these subjects, under these names; of a session, those of its device."""
    from ablate.measure.frames import measured

    labels = {subject.key: subject.label for subject in subjects}
    order = list(labels)
    mine = [one for one in measured(root.results) if one.found.subject["key"] in labels]
    if session and session.folder:
        where = session.folder.name
        mine = [one for one in mine if one.folder == where]
    mine.sort(key=lambda one: order.index(one.found.subject["key"]))
    return [replace(one, variant=labels[one.found.subject["key"]]) for one in mine]


COMMANDS = {"bench": bench}
