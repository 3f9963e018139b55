"""Commands about studies: which there are, what one would run, a new one to start from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablate.cli._compare import print_audits
from ablate.cli._disk import disk_in_words, disk_of
from ablate.cli._estimate import estimate, print_estimate
from ablate.cli._jobs import measured_only
from ablate.cli._listing import print_studies, summaries
from ablate.cli._options import (
    All,
    Data,
    Folder,
    Json,
    NameOrAll,
    ScaleName,
    Seeds,
    check_given,
    data_lines,
    locations,
    one_or_all,
    print_columns,
    print_json,
)
from ablate.cli._place import Jobs, On, Place, side_by_side
from ablate.cli._plan_all import plan_all
from ablate.cli._resources import resources as chosen
from ablate.cli._resources import with_resources

if TYPE_CHECKING:
    from ablate.spec.run import Run
    from ablate.store.root import Root
    from ablate.study.compare import Comparison
    from ablate.study.study import Study, Variant

TEMPLATE = '''"""{question}

    ablate run {name}                # what it takes: not measured yet
"""

from ablate import DIGITS, Claim, Study, top1

study = Study(
    question="{question}",
    # Each axis is a field of Run with its values, the control's first. Several axes change one at a time,
    # or all together with cross=True. `ablate plan {name}` shows what each variant changes.
    axes={{"mixer": ["attention", "patch_ff"]}},
    # Held for every variant.
    fixed={{"pool": "avg", "norm_before_pool": True}},
    # Each scale sets the rest of the fields; the first is the default.
    scales={{"digits": DIGITS}},
    seeds=3,
    # Judged from the intervals of the records: supported, contradicted or undecided.
    claims=[Claim("Patch FF stays within 5 points", top1(mixer="patch_ff") - top1(mixer="attention") > -5)],
)
'''


def list_(as_json: Json = False, root: Folder = None) -> None:
    """List the studies that can be named: their questions, scales, variants, and how many runs have a record.

    Example: ablate list
    """
    from ablate.store.root import Root

    found = summaries(Root.at(root))
    if as_json:
        print_json(found)
    else:
        print_studies(found)


@with_resources
def plan(
    name: NameOrAll = None,
    scale: ScaleName = None,
    every: All = False,
    seeds: Seeds = None,
    on: On = Place.local,
    jobs: Jobs = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="Take a few steps of every variant on the device at hand, for the time.")
    ] = False,
    data: Data = None,
    audit: Annotated[
        bool, typer.Option("--audit", help="Hold each variant's model against the control's; imports torch once.")
    ] = False,
    as_json: Json = False,
    root: Folder = None,
    *,
    given: dict[str, Any],
) -> None:
    """Show what a study would run, and what each variant changes against the control.

    Example: ablate plan quickstart
    Example: ablate plan quickstart --audit
    Example: ablate plan quickstart --on slurm --probe
    Example: ablate plan --all --scale digits
    """
    from ablate.spec.errors import SpecError
    from ablate.store.root import Root
    from ablate.study.load import load

    one_or_all("plan", name, every)
    place = Root.at(root)
    if name is None:
        if audit:
            raise SpecError("--audit is of a study's variants; wanted is a study with it, not --all")
        at = locations(data)
        plan_all(place, scale, seeds=seeds, on=on, jobs=jobs, probe=probe, data=at, given=given, as_json=as_json)
        return
    study = load(name)
    scale = study.scale(scale)
    runs = study.runs(scale, seeds)
    at = check_given(locations(data), {run.dataset for run in runs})
    missing = _missing(study, scale, runs, place, at)
    variants = _variants(study, scale, missing)
    audits = _audits(study, scale, place, at) if audit else []
    resources = chosen(given, at)
    size = side_by_side(on, resources, jobs, len(missing))
    told, disk = estimate(on, resources, missing, size, probing=probe), disk_of(missing, at, size)
    if as_json:
        more = {"audit": [one.as_data() for one in audits]} if audit else {}
        content = {"study": study.name, "scale": scale, "runs": len(runs), "variants": variants}
        print_json(content | {"disk": asdict(disk), "launch": told.as_data()} | more)
        return
    _print_variants(study, scale, data_lines({run.dataset for run in runs}, at), variants)
    print_audits(audits)
    told_of = f"{len(missing)} of {len(runs)} runs to train"
    typer.echo(f"\n{measured_only(study, scale) if study.benchmark_only else told_of}")
    if missing:
        print_estimate(told, {variant.run: variant.label for variant in study.variants(scale)})
        typer.echo(disk_in_words(disk))


def _missing(study: Study, scale: str, runs: list[Run], root: Root, data: dict[str, str]) -> list[Run]:
    """The runs without a record, once the data at hand is known to allow them."""
    from ablate.dispatch.status import StatusMonitor, check_data
    from ablate.study.compare import check_matches

    check_matches(study, scale, data)
    missing = [status.run for status in StatusMonitor(root, runs, data).poll() if status.state != "done"]
    check_data([run for run in missing if _at_hand(run, data)], data)
    return missing


def _print_variants(study: Study, scale: str, lines: Iterable[str], variants: list[dict[str, Any]]) -> None:
    """What is asked, where the data lies, and a row a variant."""
    typer.echo(f"{study.name} at scale {scale}: {study.question}")
    for line in lines:
        typer.echo(line)
    typer.echo("")
    rows = [(v["variant"], len(v["missing"]), _changes(v)) for v in variants]
    print_columns([("VARIANT", "TO TRAIN", "CHANGES"), *rows])


def _at_hand(run: Run, data: dict[str, str]) -> bool:
    """Whether a run's data can be looked at: a plan does not wait for data."""
    from ablate.data.datasets import at_hand

    return at_hand(run.dataset, data)


def _audits(study: Study, scale: str, root: Root, data: dict[str, str]) -> list[Comparison]:
    """Every variant held against the control."""
    from ablate.study.compare import compare

    return compare(study, scale, root, data)


def _variants(study: Study, scale: str, missing: list[Run]) -> list[dict[str, Any]]:
    """Every variant, ready for JSON."""
    to_train: dict[Run, list[str]] = {}
    for run in missing:
        to_train.setdefault(run.replace(seed=0), []).append(run.key)
    compared = study.variants(scale)
    return [_variant(compared[0].run, variant, to_train.get(variant.run, [])) for variant in compared]


def _variant(control: Run, variant: Variant, missing: list[str]) -> dict[str, Any]:
    """What a variant changes, and the keys of its runs that have no record, ready for JSON."""
    from ablate.spec.run import differences

    changes = {field: value for field, (_, value) in differences(control, variant.run).items()}
    match = {"match": variant.match.as_data()} if variant.match else {}
    return {"variant": variant.label, "changes": changes, "missing": missing} | match


def _changes(variant: dict[str, Any]) -> str:
    """The fields that differ; for a matched variant how near it came, too."""
    text = ", ".join(f"{field}={value}" for field, value in variant["changes"].items()) or "control"
    match = variant.get("match")
    return f"{text} ({match['mode']} {100 * match['error']:+.2f} %)" if match else text


def new(name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new study.")]) -> None:
    """Write a commented study to start from, in ./studies.

    Example: ablate new mixers
    """
    from ablate.spec.errors import SpecError

    if not name.isidentifier():
        raise SpecError(
            f"the new study's name is {name!r}; wanted are letters, digits and '_', not starting with a digit"
        )
    path = Path("studies", f"{name}.py")
    if path.exists():
        raise SpecError(f"{path} exists; wanted is a name that is free")
    path.parent.mkdir(exist_ok=True)
    path.write_text(TEMPLATE.format(name=name, question="What does this study ask?"), encoding="utf-8")
    typer.echo(f"{path} written; try: ablate plan {name}")


COMMANDS = {"list": list_, "plan": plan, "new": new}
