"""The command line: it parses, calls and prints. No option except --scale and --seeds changes a result.

Exit codes: 0 success, 1 a run failed, 2 the request was wrong, 130 interrupted.
"""

from __future__ import annotations

from typing import Annotated

import typer

import ablate
from ablate.cli._ending import exiting
from ablate.cli._group import WIDTH, Entry, Group

SECTIONS = {
    "Studies": {
        "list": Entry("listing", "List the studies, and how many of their runs have a record.", "list_"),
        "new": Entry("new", "Write a commented study to ./studies, to start from."),
        "plan": Entry("plan", "Show what a study would run, and what each variant changes."),
    },
    "Runs": {
        "run": Entry("runs", "Train the missing runs of a study, then print the results table and write the report."),
        "status": Entry("jobs", "Show the state of every run (done, running, queued, failed, lost)."),
        "logs": Entry("jobs", "Print the log of a run."),
        "cancel": Entry("jobs", "Cancel the queued and running jobs of a study (or one run)."),
    },
    "Results": {
        "table": Entry("results", "Print the results table of a study, or its statistics."),
        "claims": Entry("results", "Judge the claims of a study from its records."),
        "plot": Entry("results", "Draw the plots of a study."),
        "export": Entry("results", "Write all runs to a Parquet or CSV file, one row per run."),
        "report": Entry("report", "Write the report of a study, and print the path of its page."),
        "merge": Entry("merge", "Copy the records and speed measurements of another root into this one."),
        "verify": Entry("verify", "Check that reports match the recorded results."),
    },
    "Models": {
        "bench": Entry("bench", "Measure speed and memory of the models of a study, side by side."),
        "evaluate": Entry("evaluate", "Evaluate a model on a dataset split (exact top-1 and top-5)."),
    },
    "Files": {
        "data": Entry("data", "List the datasets with their paths, or describe one."),
        "clean": Entry("clean", "Delete files under runs/ and the cache that no study uses (asks first)."),
    },
}


class Ablate(Group):
    """The commands of ablate."""

    sections = SECTIONS


app = typer.Typer(
    name="ablate",
    cls=Ablate,
    help="Controlled ablations of vision models: plan, train, compare.",
    epilog="Example: ablate run quickstart",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH},
)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"ablate {ablate.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None: ...


def main() -> None:
    """Run the command line and exit with its code."""
    exiting(app)
