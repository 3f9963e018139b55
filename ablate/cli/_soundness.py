"""How commands tell about damaged records: below what they print, and by their exit code."""

from __future__ import annotations

import typer

from ablate.dispatch.evidence import of_study
from ablate.results.soundness import Soundness, of_all, soundness, with_speeds
from ablate.store import rows
from ablate.store.root import Root
from ablate.study.study import Study

NOT_WHOLE = 2  # the exit code where a record that a study needs was edited or damaged


def soundness_of(study: Study, scale: str, root: Root, seeds: int | None = None, *, speeds: bool = False) -> Soundness:
    """Return what is wrong with the records of a study, and with its speed measurements if they are used too."""
    found = soundness(study, scale, of_study(study, scale, root.results, seeds), seeds)
    return with_speeds(found, study, scale, root.results) if speeds else found


def warn(found: Soundness) -> int:
    """Print what is wrong with the records of a study to the standard error, and return the exit code."""
    for sentence in found.sentences:
        typer.echo(sentence, err=True)
    return 0 if found.whole else NOT_WHOLE


def warn_all(root: Root) -> int:
    """Print what is wrong with any record to the standard error, and return the exit code."""
    found = rows.read(root.results)
    for sentence in of_all(found):
        typer.echo(sentence, err=True)
    return NOT_WHOLE if found.damage else 0
