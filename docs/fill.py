"""Fill the marked blocks of README.md and docs/*.md from the records, so that their numbers are always current.

    python docs/fill.py          # writes
    python docs/fill.py --check  # reports the blocks that differ; the exit code is 1 if any does

A block is between two comments, each on its own line: `<!-- ablate: WORDS -->` and `<!-- end -->`. WORDS are

    table STUDY SCALE        the table of the variants, as in the report
    claims STUDY SCALE       every claim with its verdict and the reason
    exponents STUDY SCALE    how time grows with the number of tokens
    environment STUDY SCALE  the number of runs and their environment, on one line
    paper                    the table of `ablate table paper`
    studies                  the named studies, and the progress of each

Without records, a block is "not measured".
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ablate.measure import frames as speed_frames
from ablate.report import gather
from ablate.report.content import Content
from ablate.results import formats, paper, scaling
from ablate.results.formats import escape
from ablate.results.formats.paper import sheet
from ablate.results.inventory import summaries
from ablate.results.table import frame
from ablate.spec.errors import SpecError, unknown
from ablate.store.root import Root
from ablate.study.load import load

PROJECT = Path(__file__).parents[1]
BLOCK = re.compile(r"^<!-- ablate: (?P<words>.+) -->\n(?P<body>(?:(?!<!-- ).*\n)*)<!-- end -->$", re.MULTILINE)
MARK = re.compile(r"^<!-- (?:ablate: |end -->)", re.MULTILINE)
FACTS = ("source", "device", "CPU threads", "python", "torch", "timm")


def table(content: Content) -> str:
    """Return the table of variants, one row each."""
    return formats.as_markdown(content.summary) if content.found else ""


def claims(content: Content) -> str:
    """Return the claims, one row each: the sentence, its verdict, and the reason."""
    if not content.found and not content.speeds:
        return ""
    judged = [verdict for verdict, _ in content.verdicts]
    lines = [(one.claim.sentence, one.decision, one.reason) for one in judged]
    cells = [[escape.markdown(text) for text in line] for line in lines]
    rows = [f"| {sentence} | **{decision}** | {reason} |\n" for sentence, decision, reason in cells]
    return "| Claim | Verdict | Why |\n|---|---|---|\n" + "".join(rows)


def exponents(content: Content) -> str:
    """Return the exponents of time and MACs over the number of tokens, one sentence each."""
    lines = scaling.curves(speed_frames.at_reference_batch(content.speed))
    return "".join(f"- {escape.markdown(line.sentence())}\n" for line in lines)


def environment(content: Content) -> str:
    """Return the number of runs or measurements, their dates and their environment."""
    if content.found:
        seeds = " to ".join(str(n) for n in sorted({content.summary["n"].min(), content.summary["n"].max()}))
        counted = f"{len(content.measured)} of {len(content.rows)} runs, {seeds} seeds each"
        facts = [(fact.name, list(fact.values)) for fact in content.environment if fact.name in FACTS]
        parts = [f"finished {' to '.join(content.dates)}"] * bool(content.dates)
    elif content.speeds:
        counted, parts = f"{len(content.speeds)} speed measurements", []
        facts = [("source", _sources(content)), ("device", [one.device for one in content.speeds])]
    else:
        return ""
    parts += [f"{name}: {' and '.join(dict.fromkeys(values))}" for name, values in facts]
    return escape.markdown("; ".join([counted, *parts])) + ".\n"


def _sources(content: Content) -> list[str]:
    """Return the commits of the speed measurements."""
    where = [one.found.provenance for one in content.speeds]
    dirty = {True: ", with uncommitted changes", False: ""}
    return [f"commit {str(one.get('commit'))[:10]}{dirty[bool(one.get('dirty'))]}" for one in where]


KINDS: Mapping[str, Callable[[Content], str]] = {
    "table": table,
    "claims": claims,
    "exponents": exponents,
    "environment": environment,
}


class Blocks:
    """The blocks derived from the records under a root; each study at a scale is read once."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self._read: dict[tuple[str, ...], Content] = {}

    def __call__(self, words: str) -> str:
        """Return the content of a block.

        Raises:
            SpecError: for an unknown block, study or scale.
        """
        whole = {"paper": self.paper, "studies": self.studies}
        if words in whole:
            return whole[words]()
        kind, *place = words.split()
        if kind not in KINDS or len(place) != 2:
            raise unknown("block", words, [*(f"{name} STUDY SCALE" for name in KINDS), *whole])
        return KINDS[kind](self.content(*place)) or "not measured\n"

    def content(self, study: str, scale: str) -> Content:
        """Return the content of a study's report."""
        if (study, scale) not in self._read:
            self._read[study, scale] = gather(load(study), scale, self.root)
        return self._read[study, scale]

    def paper(self) -> str:
        """Return the paper's table with its notes."""
        runs, speeds = frame(root=self.root.path), speed_frames.frame(self.root)
        return formats.render(sheet(paper.table(runs, speeds, load(paper.NAME))), "md")

    def studies(self) -> str:
        """Return every named study with a link to its section, and its progress at each scale."""
        found = summaries(self.root)
        scales = list(dict.fromkeys(scale["name"] for study in found for scale in study["scales"]))
        lines = [["Study", *(f"`{scale}`" for scale in scales)], ["---"] * (1 + len(scales))]
        for study in found:
            done = {scale["name"]: _done(scale) for scale in study["scales"]}
            lines.append([f"[`{study['name']}`](#{study['name']})", *(done.get(scale, "–") for scale in scales)])
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _done(scale: Mapping[str, Any]) -> str:
    """Return the progress of a study at a scale, as in `ablate list`."""
    done, wanted, what = scale["done"], scale["runs"], "runs"
    if "models" in scale:
        done, wanted, what = scale["measured"], scale["models"], "models"
    return f"{done} of {wanted} {what}" if done else "not measured"


def fill(text: str, blocks: Callable[[str], str]) -> tuple[str, list[str]]:
    """Return a page with every block derived from the records, and the words of those that differed.

    Raises:
        SpecError: if a mark has no counterpart, or a block cannot be derived.
    """
    stale = []

    def derived(found: re.Match[str]) -> str:
        body = f"\n{blocks(found['words'])}\n"
        if body != found["body"]:
            stale.append(found["words"])
        return f"<!-- ablate: {found['words']} -->\n{body}<!-- end -->"

    if len(MARK.findall(text)) != 2 * len(BLOCK.findall(text)):
        raise SpecError(
            "a block must have two marks, <!-- ablate: … --> and <!-- end -->, got one mark without the other"
        )
    return BLOCK.sub(derived, text), stale


def pages(project: Path) -> Iterator[Path]:
    """Yield the pages that may contain blocks."""
    yield project / "README.md"
    yield from sorted((project / "docs").glob("*.md"))


def main(words: list[str] | None = None, project: Path = PROJECT) -> int:
    """Fill the pages of a project, or report the blocks that differ from its records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; report what differs")
    check, blocks, differ = parser.parse_args(words).check, Blocks(Root(project)), False
    for page in pages(project):
        text = page.read_text(encoding="utf-8")
        try:
            filled, stale = fill(text, blocks)
        except SpecError as error:
            print(f"{page.relative_to(project)}: {error}", file=sys.stderr)
            return 2
        differ |= bool(stale)
        if stale and not check:
            page.write_text(filled, encoding="utf-8")
        for block in stale:
            print(f"{page.relative_to(project)}: {block} {'differs from the records' if check else 'is filled'}")
    return int(check and differ)


if __name__ == "__main__":
    sys.exit(main())
