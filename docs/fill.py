"""Fill the marked blocks of README.md and docs/*.md from the records, so that no number in them can drift.

    python docs/fill.py          # writes
    python docs/fill.py --check  # says which blocks differ; the exit code is 1 if any does

A block stands between two comments, each on a line of its own: `<!-- ablate: WORDS -->` and `<!-- end -->`. WORDS are

    table STUDY SCALE        the table of the variants, as in the report
    claims STUDY SCALE       every claim with its verdict and the reason
    exponents STUDY SCALE    how time grows with the number of tokens
    environment STUDY SCALE  how many runs, and what they were made with, in a line
    paper                    what `ablate table paper` prints
    studies                  the named studies, and how much of each is measured

Where the records have nothing to say, the block says "not measured".
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
    """The variants, a row each."""
    return formats.as_markdown(content.summary) if content.found else ""


def claims(content: Content) -> str:
    """The claims, a row each: a sentence, its verdict, and why."""
    if not content.found and not content.speeds:
        return ""
    judged = [verdict for verdict, _ in content.verdicts]
    lines = [(one.claim.sentence, one.decision, one.reason) for one in judged]
    told = [[escape.markdown(text) for text in line] for line in lines]
    rows = [f"| {sentence} | **{decision}** | {reason} |\n" for sentence, decision, reason in told]
    return "| Claim | Verdict | Why |\n|---|---|---|\n" + "".join(rows)


def exponents(content: Content) -> str:
    """The exponents of time in the number of tokens, beside those of the MACs, a sentence each."""
    lines = scaling.curves(speed_frames.at_reference_batch(content.speed))
    return "".join(f"- {escape.markdown(line.sentence())}\n" for line in lines)


def environment(content: Content) -> str:
    """How many runs or measurements there are, of when, and what they were made with."""
    if content.found:
        seeds = " to ".join(str(n) for n in sorted({content.summary["n"].min(), content.summary["n"].max()}))
        counted = f"{len(content.measured)} of {len(content.rows)} runs, {seeds} seeds each"
        facts = [(fact.name, list(fact.values)) for fact in content.environment if fact.name in FACTS]
        told = [f"finished {' to '.join(content.dates)}"] * bool(content.dates)
    elif content.speeds:
        counted, told = f"{len(content.speeds)} measurements of speed", []
        facts = [("source", _sources(content)), ("device", [one.device for one in content.speeds])]
    else:
        return ""
    told += [f"{name}: {' and '.join(dict.fromkeys(values))}" for name, values in facts]
    return escape.markdown("; ".join([counted, *told])) + ".\n"


def _sources(content: Content) -> list[str]:
    """The commits that speeds were measured from."""
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
    """The blocks that the records under a root give; each study at a scale is read once."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self._read: dict[tuple[str, ...], Content] = {}

    def __call__(self, words: str) -> str:
        """What stands between the marks of a block.

        Raises:
            SpecError: for words that name no block, study or scale.
        """
        whole = {"paper": self.paper, "studies": self.studies}
        if words in whole:
            return whole[words]()
        kind, *place = words.split()
        if kind not in KINDS or len(place) != 2:
            raise unknown("block", words, [*(f"{name} STUDY SCALE" for name in KINDS), *whole])
        return KINDS[kind](self.content(*place)) or "not measured\n"

    def content(self, study: str, scale: str) -> Content:
        """What the report of a study says."""
        if (study, scale) not in self._read:
            self._read[study, scale] = gather(load(study), scale, self.root)
        return self._read[study, scale]

    def paper(self) -> str:
        """The paper's table with its notes."""
        runs, speeds = frame(root=self.root.path), speed_frames.frame(self.root)
        return formats.render(sheet(paper.table(runs, speeds, load(paper.NAME))), "md")

    def studies(self) -> str:
        """Every named study with a link to its section, and how much of it is measured at each scale."""
        found = summaries(self.root)
        scales = list(dict.fromkeys(scale["name"] for study in found for scale in study["scales"]))
        lines = [["Study", *(f"`{scale}`" for scale in scales)], ["---"] * (1 + len(scales))]
        for study in found:
            done = {scale["name"]: _done(scale) for scale in study["scales"]}
            lines.append([f"[`{study['name']}`](#{study['name']})", *(done.get(scale, "–") for scale in scales)])
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _done(scale: Mapping[str, Any]) -> str:
    """How much of a study is measured at a scale, as `ablate list` counts it."""
    done, wanted, what = scale["done"], scale["runs"], "runs"
    if "models" in scale:
        done, wanted, what = scale["measured"], scale["models"], "models"
    return f"{done} of {wanted} {what}" if done else "not measured"


def fill(text: str, blocks: Callable[[str], str]) -> tuple[str, list[str]]:
    """A page with every block as the records give it, and the words of those that were not.

    Raises:
        SpecError: where a mark has no partner, or a block cannot be derived.
    """
    stale = []

    def derived(found: re.Match[str]) -> str:
        body = f"\n{blocks(found['words'])}\n"
        if body != found["body"]:
            stale.append(found["words"])
        return f"<!-- ablate: {found['words']} -->\n{body}<!-- end -->"

    if len(MARK.findall(text)) != 2 * len(BLOCK.findall(text)):
        raise SpecError("a block has one mark without the other; wanted is <!-- ablate: … -->, then <!-- end -->")
    return BLOCK.sub(derived, text), stale


def pages(project: Path) -> Iterator[Path]:
    """The pages that may hold blocks."""
    yield project / "README.md"
    yield from sorted((project / "docs").glob("*.md"))


def main(words: list[str] | None = None, project: Path = PROJECT) -> int:
    """Fill the pages of a project, or say which blocks of them differ from its records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; say what differs")
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
