"""The index of all named studies: the question, verdicts and progress of each, with a link to its report.

It is an HTML page, and a Markdown table for reading in a repository.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ablate.report import figures_json, gather, render
from ablate.report.content import Content
from ablate.report.losses import refuse_losses
from ablate.report.opening import SHOWN, opening
from ablate.report.page import fill
from ablate.results.verdict import Verdict
from ablate.spec.errors import SpecError
from ablate.store.root import Root, write_atomically
from ablate.study.load import load, named
from ablate.study.study import Study

INDEX, PAGE = "README.md", "index.html"


@dataclass(frozen=True)
class Entry:
    """A study at a scale.

    Args:
        folder: the link to its report's folder; empty if nothing is measured.
        done: how many of `wanted` runs have a record; variants with a measurement if nothing is trained.
        figure: the link to the first figure of its report; empty if there is none.
    """

    scale: str
    folder: str
    done: int
    wanted: int
    verdicts: list[Verdict]
    what: str = "runs"
    figure: str = ""

    @property
    def counts(self) -> Mapping[str, int]:
        """Return how often each decision was reached, the most frequent first."""
        return dict(Counter(verdict.decision for verdict in self.verdicts).most_common())


@dataclass(frozen=True)
class Listed:
    """A study with its scales; `error` is the reason if it cannot be loaded."""

    name: str
    question: str
    entries: list[Entry]
    error: str = ""


def write_all(root: Root, *, models: bool = True, force: bool = False) -> tuple[Path, list[Path]]:
    """Write the report of every study and scale with a record, and their index.

    Args:
        force: whether to replace reports that have more rows.

    Returns:
        The page of the index, and those of the reports.

    Raises:
        SpecError: when a written report has rows that its new one lacks; the others are written, the index is not.
    """
    pages, refused = [], []
    for study in _studies():
        if not isinstance(study, Study):
            continue
        for scale in study.scales:
            content = gather(study, scale, root)
            done = content.speeds if study.benchmark_only else content.found
            try:
                if done:
                    pages.append(render(study, scale, root, models=models, force=force))
                elif not force:
                    refuse_losses(content)
            except SpecError as error:
                refused.append(str(error))
    if refused:
        raise SpecError("\n".join(refused))
    for name, text in texts(root).items():
        write_atomically(root.reports / name, text.encode(), durable=False)
    return root.reports / PAGE, pages


def texts(root: Root) -> dict[str, str]:
    """Return the two files of the index, by name."""
    studies = [*listed(_studies(), root)]
    return {INDEX: fill("overview.md", studies=studies), PAGE: fill("overview.html", studies=studies)}


def listed(studies: Iterable[Study | tuple[str, str]], root: Root) -> Iterator[Listed]:
    """Yield each study with its scales, those with records first."""
    for study in studies:
        if isinstance(study, Study):
            entries = sorted(_entries(study, root), key=lambda entry: not entry.done)
            yield Listed(study.name, study.question, entries)
        else:
            name, error = study
            yield Listed(name, "", [], error)


def _studies() -> Iterator[Study | tuple[str, str]]:
    """Yield every named study, or its name and the reason why it cannot be loaded."""
    for name, path in sorted(named().items()):
        try:
            yield load(name)
        except SpecError as error:
            yield name, str(error).splitlines()[0].replace(str(path), path.name)


def _entries(study: Study, root: Root) -> Iterator[Entry]:
    what = "variants" if study.benchmark_only else "runs"
    for scale in study.scales:
        content = gather(study, scale, root)
        done, wanted = _measured(content) if study.benchmark_only else _trained(content)
        if not done:
            yield Entry(scale, "", 0, wanted, [], what)
            continue
        verdicts = [verdict for verdict, _ in content.verdicts]
        yield Entry(scale, quote(content.folder.name), done, wanted, verdicts, what, _figure(content))


def _figure(content: Content) -> str:
    """Return the link to the first figure of a report."""
    names = opening(content.runs, figures_json.names(content.folder), benchmark_only=content.study.benchmark_only)
    return next((quote(f"{content.folder.name}/{name}.png") for name in names if name in SHOWN), "")


def _trained(content: Content) -> tuple[int, int]:
    """Return how many runs are done, and the number of runs."""
    return len(content.evidence.done), len(content.variants) * content.seed_count


def _measured(content: Content) -> tuple[int, int]:
    """Return how many variants have a speed measurement, and the number of variants."""
    labels = set(content.variants)
    return len(labels & {one.variant for one in content.speeds}), len(labels)
