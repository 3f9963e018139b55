"""What is wrong with the records behind a table: sentences to print below it, and the variants to mark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ablate.dispatch.evidence import Evidence
from ablate.measure import record as speed_record
from ablate.measure.subjects import of_study
from ablate.results.formats.sheet import Column, Row, Sheet
from ablate.spec.printable import printable
from ablate.store.rows import Rows
from ablate.study.study import Study

MARK = " [edited]"
LOST = " [damaged]"
SHOWN = 3  # records in a sentence; the rest are counted


@dataclass(frozen=True)
class Soundness:
    """What is wrong with the records behind a table.

    Args:
        damage: sentences about the study's own records that were edited or damaged, by variant.
        marks: what to write after the names of these variants.
        remarks: sentences about what does not count: records of other data or other studies, and other files.
    """

    damage: Mapping[str, list[str]] = field(default_factory=dict)
    marks: Mapping[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Return whether none of the study's own records is damaged."""
        return not self.damage

    @property
    def sentences(self) -> list[str]:
        """Return all sentences, those about damage first."""
        return [*(sentence for found in self.damage.values() for sentence in found), *self.remarks]

    def of(self, labels: list[str]) -> list[str]:
        """Return the sentences about the records of some variants."""
        return [sentence for label in dict.fromkeys(labels) for sentence in self.damage.get(label, ())]


def soundness(study: Study, scale: str, found: Evidence, seeds: int | None = None) -> Soundness:
    """Return what is wrong with the records of a study.

    Args:
        found: from `ablate.dispatch.evidence.of_study`, of these seeds.
    """
    wanted = range(study.seed_count(scale, seeds))
    damage: dict[str, list[str]] = {}
    marks: dict[str, str] = {}
    for variant in study.variants(scale):
        for seed, key in zip(wanted, variant.run.keys(wanted), strict=True):
            if key in found.damaged:
                damage.setdefault(variant.label, []).append(f"{variant.label}, seed {seed}: {found.damaged[key]}")
                used = key in found.places
                marks[variant.label] = MARK if used and marks.get(variant.label, MARK) == MARK else LOST
    safe = {label: [printable(sentence) for sentence in sentences] for label, sentences in damage.items()}
    return Soundness(safe, marks, [*_of_other_data(found), *of_all(found.rows, found.damaged)])


def with_speeds(found: Soundness, study: Study, scale: str, results: Path) -> Soundness:
    """Return the same with what is wrong with the speed measurements of a study."""
    labels = {subject.key: subject.label for subject in of_study(study, scale)}
    damage = {label: [*sentences] for label, sentences in found.damage.items()}
    remarks = [*found.remarks]
    for path, sentence in speed_record.damage(results).items():
        label = labels.get(Path(path).name.partition("-")[0])
        (remarks if label is None else damage.setdefault(label, [])).append(printable(sentence))
    lost = dict.fromkeys(damage.keys() - found.damage.keys(), LOST)
    return replace(found, damage=damage, marks={**found.marks, **lost}, remarks=remarks)


def of_all(rows: Rows, told: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yield sentences about all damaged records except some, and about the files that were passed over."""
    rest = {key: sentence for key, sentence in rows.damage.items() if key not in (told or {})}
    if rest and told is not None:
        names = [rows.paths.get(key, key) for key in rest]
        yield printable(f"damaged, but not of this study: {_some(names)}; first: {next(iter(rest.values()))}")
    elif rest:
        yield from map(printable, rest.values())
    if rows.note:
        yield rows.note


def _of_other_data(found: Evidence) -> Iterator[str]:
    if paths := list(found.other_data.values()):
        yield printable(
            f"left out, because the data have changed since: {len(paths)} record{'s' * (len(paths) > 1)} "
            f"({_some(paths)}); ablate run trains {'these runs' if len(paths) > 1 else 'this run'} again"
        )


def _some(names: list[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def marked(sheet: Sheet, found: Soundness) -> Sheet:
    """Return a table with its variants marked; for machines, in a column `damage`."""
    if found.whole or "variant" not in sheet.data:
        return sheet
    columns = [
        replace(column, text=_marking(column, found)) if at == sheet.heading else column
        for at, column in enumerate(sheet.columns)
    ]
    texts = [" ".join(found.damage.get(str(label), [])) for label in sheet.data["variant"]]
    return replace(sheet, columns=columns, data=sheet.data.assign(damage=texts))


def _marking(column: Column, found: Soundness) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        return column.text(row) + found.marks.get(str(row["variant"]), "")

    return text
