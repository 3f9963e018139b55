"""README.md and docs/ say what the records give: in their blocks by `docs/fill.py`, in their sentences and links."""

from __future__ import annotations

import ast
import re
import shutil
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from ablate.measure import record as speed_record
from ablate.measure.subjects import of_study
from ablate.store import records
from ablate.store.root import Root
from ablate.study.load import load
from tests import synthetic
from tests.measure.fake import measurement

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[1]
STUDIES = sorted(path.stem for path in (PROJECT / "studies").glob("[!_]*.py"))
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
FIXTURE = f"{synthetic.FIXTURES / 'fixture_study.py'} digits"
# A number with its interval, such as −12.59 ± 5.36; one with a hyphen for the minus is found too, and stands nowhere.
NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
MEASURED = re.compile(rf"(?<![\w.,])[+−-]?{NUMBER} ± <?{NUMBER}")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)[^)\s]*\)")


def _script() -> Any:
    spec = spec_from_file_location("fill", PROJECT / "docs" / "fill.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fill = _script()


@pytest.fixture(scope="module")
def blocks() -> Any:
    """What the committed records give."""
    return fill.Blocks(Root(PROJECT))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the fixture records, and a block of every kind in its two pages."""
    shutil.copytree(synthetic.ROOT.results, tmp_path / "results")
    (tmp_path / "docs").mkdir()
    kinds = [f"{kind} {FIXTURE}" for kind in fill.KINDS]
    (tmp_path / "README.md").write_text(page("paper", *kinds), encoding="utf-8")
    (tmp_path / "docs" / "page.md").write_text(page("studies"), encoding="utf-8")
    return tmp_path


def page(*words: str) -> str:
    """A page with blocks that hold something old, between sentences of its own."""
    return "".join(f"Before.\n\n<!-- ablate: {one} -->\nold\n<!-- end -->\n\nAfter.\n" for one in words)


def block(text: str, kind: str) -> str:
    """What stands in a page's block of a kind."""
    (body,) = [found["body"] for found in fill.BLOCK.finditer(text) if found["words"].split()[0] == kind]
    return str(body)


def numbers(text: str) -> list[str]:
    """Every "x ± y" of a text, wherever its lines break and whatever Markdown escapes."""
    return MEASURED.findall(" ".join(text.replace("\\<", "<").split()))


def sections(text: str) -> dict[str, str]:
    """The parts of docs/studies.md by the study they are headed with; what no study heads is under ""."""
    first, *rest = re.split(r"^## ", text, flags=re.MULTILINE)
    found = {"": first}
    for part in rest:
        named = re.match(r"`(\w+)`\n", part)
        name = named[1] if named else ""
        found[name] = found.get(name, "") + part
    return found


SECTIONS = sections((PROJECT / "docs" / "studies.md").read_text(encoding="utf-8"))


def test_the_pages_say_what_the_records_give(capsys: pytest.CaptureFixture[str]) -> None:
    """Where this fails: make docs."""
    assert fill.main(["--check"]) == 0, capsys.readouterr()


def test_a_check_tells_each_block_that_differs_and_writes_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (project / "README.md").read_text(encoding="utf-8")
    assert fill.main(["--check"], project) == 1
    assert (project / "README.md").read_text(encoding="utf-8") == before
    told = capsys.readouterr().out
    assert "README.md: paper differs from the records\n" in told
    assert "page.md: studies differs from the records\n" in told
    assert len(told.splitlines()) == len(fill.KINDS) + 2


def test_blocks_are_filled_once_and_nothing_else_is_touched(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fill.main([], project) == 0
    text = (project / "README.md").read_text(encoding="utf-8")
    assert block(text, "table") == f"\n{synthetic.GOLDEN.read_text(encoding='utf-8')}\n"
    assert (
        "| Patch FF needs fewer parameters than attention | **supported** | exact: it does not depend on the seed |"
        in text
    )
    assert "8 of 9 runs, 2 to 3 seeds each" in block(text, "environment")
    assert block(text, "exponents") == "\nnot measured\n\n"
    assert "81.8 for Base" in block(text, "paper")
    assert fill.BLOCK.sub("", text) == fill.BLOCK.sub("", page("paper", *fill.KINDS))
    for name in STUDIES:
        assert f"| [`{name}`](#{name}) | not measured |" in (project / "docs" / "page.md").read_text(encoding="utf-8")
    capsys.readouterr()
    assert fill.main(["--check"], project) == 0
    assert not capsys.readouterr().out


def test_runs_of_two_commits_are_told(project: Path) -> None:
    record = synthetic.record(load(FIXTURE.split()[0]).runs()[-1], provenance={"commit": "f" * 40, "dirty": True})

    records.write(project / "results", record)
    told = fill.Blocks(Root(project))(f"environment {FIXTURE}")
    assert "9 of 9 runs, 3 seeds each" in told
    assert "commit ffffffffff, with uncommitted changes" in told
    assert told.count("commit ") == 2


def test_without_records_every_block_of_a_study_says_so(tmp_path: Path) -> None:
    found = fill.Blocks(Root(tmp_path))
    assert {found(f"{kind} {FIXTURE}") for kind in fill.KINDS} == {"not measured\n"}


def test_a_study_of_speed_has_exponents_and_an_environment(root: Root) -> None:
    for subject in of_study(load("sequence_length"), "digits"):
        rate = 1000 / subject.run.tokens
        found = measurement(subject, [rate, rate, rate], "fp32-eager-nchw-inference", batch=64, peak=None)
        speed_record.write(root.results / speed_record.FOLDER / speed_record.device_folder(found.provenance), found)
    made = fill.Blocks(root)
    assert "attention: time grows as tokens^1.00" in made("exponents sequence_length digits")
    assert "speed measurements; source: commit" in made("environment sequence_length digits")
    assert "**" in made("claims sequence_length digits")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<!-- ablate: paper -->\nold\n", "one mark without the other"),
        ("<!-- ablate: paper -->\n<!-- ablate: studies -->\n<!-- end -->\n", "one mark without the other"),
        ("old\n<!-- end -->\n", "one mark without the other"),
        (page("tables quickstart digits"), "unknown block 'tables quickstart digits': known are claims STUDY SCALE"),
        (page("table quickstart"), "unknown block"),
        (page("table quickstarts digits"), "unknown study 'quickstarts'"),
        (page("claims quickstart digit"), "unknown scale 'digit'"),
    ],
)
def test_a_wrong_mark_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, told: str) -> None:
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    assert fill.main([], tmp_path) == 2
    assert told in capsys.readouterr().err
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_has_its_section(name: str) -> None:
    """With its question, the blocks that answer it, and a picture of its report."""
    study, text = load(name), SECTIONS.get(name, "")
    assert f"**{study.question}**" in text
    for kind in ("exponents" if study.benchmark_only else "table", "claims", "environment"):
        assert f"<!-- ablate: {kind} {name} digits -->" in text
    assert f"](../reports/{name}-digits/" in text
    assert "**Limits.**" in text


@pytest.mark.parametrize("name", STUDIES)
def test_numbers_in_sentences_stand_in_the_study_s_own_results(name: str, blocks: Any) -> None:
    """Of its docstring, and of its section outside the blocks: same rounding, same sign."""
    docstring = ast.get_docstring(ast.parse((PROJECT / "studies" / f"{name}.py").read_text(encoding="utf-8"))) or ""
    said = numbers(docstring) + numbers(fill.BLOCK.sub("", SECTIONS.get(name, "")))
    derived = [blocks(f"{kind} {name} {scale}") for kind in fill.KINDS for scale in (load(name).scales if said else ())]
    assert set(said) <= set(numbers("\n".join(derived)))


def test_no_number_of_a_study_stands_outside_its_section() -> None:
    assert not numbers(fill.BLOCK.sub("", SECTIONS[""]))


def test_numbers_are_found_however_they_are_written() -> None:
    said = "a gain of +7.13 ±\n8.00, a loss of -12.59 ± 5.36 or −56.89 ± \\<0.01; 3,880 ± 1,072, and 9 ± 2."
    assert numbers(said) == ["+7.13 ± 8.00", "-12.59 ± 5.36", "−56.89 ± <0.01", "3,880 ± 1,072", "9 ± 2"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for link in LINK.findall(path.read_text(encoding="utf-8")):
        target = (path.parent / unquote(link)).resolve()
        if target.parent.parent == PROJECT / "reports" and not target.parent.exists():
            continue  # of a study whose report is not written
        assert target.exists(), link
