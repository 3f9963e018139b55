"""The house's one rule: a room imports only from rooms above it; and what must not be imported where."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ablate

PACKAGE = Path(ablate.__file__).parent

# From the top: a row imports from rows above it and from itself.
ROWS = """
    registry checks settings formula seeds spec extend slurm resources claim paths cache
    mixers channels stems block models complexity disk match study_file axes
    study recipes records modes lease released timm_models timm candidates
    pictures datasets images draws augment mixup workers resident loading timm_pictures optim
    blind architecture outline audit distributed evaluation assess failures checkpoint board memory watch learner
    train provenance timing clocks measuring notes execution job
    launches status leftovers launch stats speed ranking scaling
    imagewise published flat table contrasts paper speed_claims verdict
    formats plots notebook report display bench cli
""".split()  # noqa: SIM905 - an order, read in one look
# `_formats.py` is a part of `formats`; these two stand outside, as they join everything.
OUTSIDE = ("__init__", "__main__")
WITH_TORCH = """
    mixers channels stems block models released timm_models timm candidates
    datasets images draws augment mixup workers resident loading timm_pictures optim blind outline evaluation assess
    checkpoint board memory learner train provenance timing measuring
""".split()  # noqa: SIM905
WITHOUT_TORCH = [row for row in ROWS if row not in WITH_TORCH]
WITHOUT_PANDAS = ROWS[ROWS.index("mixers") : ROWS.index("status")]


def room(path: Path) -> str:
    """The row a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py").lstrip("_" if path.parent == PACKAGE else "")


FILES = sorted(path for path in PACKAGE.rglob("*.py") if "named_studies" not in path.parts)
ROOMS = [path for path in FILES if path.stem not in OUTSIDE or path.parent != PACKAGE]


def name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def imported(node: ast.AST, path: Path) -> Iterator[str]:
    """Dotted names a statement imports, relative ones written out, `from ablate import x` as ablate.x."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        parts = ["ablate", *path.relative_to(PACKAGE).with_suffix("").parts][: -node.level] if node.level else []
        module = ".".join([*parts, *([node.module] if node.module else [])])
        yield from (f"{module}.{alias.name}" for alias in node.names) if module == "ablate" else [module]


def imports(path: Path) -> set[str]:
    """Everything a file imports, also inside functions."""
    return {name for node in ast.walk(ast.parse(path.read_text())) for name in imported(node, path)}


def imports_at_once(path: Path) -> set[str]:
    """What importing a file imports: functions and `if TYPE_CHECKING` left out."""

    def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
        for node in body:
            typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or typing_only:
                continue
            yield node
            for part in ("body", "orelse", "finalbody"):
                yield from statements(getattr(node, part, []))

    return {name for node in statements(ast.parse(path.read_text()).body) for name in imported(node, path)}


def row_of(module: str) -> str | None:
    """The row of a dotted name in ablate; None for the package itself and for other packages."""
    parts = module.split(".")
    if parts[0] != "ablate" or len(parts) == 1:
        return None
    public = ablate._PUBLIC.get(parts[1])
    first = parts[1] if (PACKAGE / parts[1]).is_dir() or (PACKAGE / f"{parts[1]}.py").exists() else public
    return first.split(".")[0].lstrip("_") if first and first not in OUTSIDE else None


def packages(modules: set[str]) -> set[str]:
    return {module.split(".")[0] for module in modules}


def test_every_module_has_its_row() -> None:
    assert {room(path) for path in ROOMS} - set(ROWS) == set(), "give the new module its place in ROWS"
    assert len(set(ROWS)) == len(ROWS)


@pytest.mark.parametrize("path", ROOMS, ids=name)
def test_imports_go_up(path: Path) -> None:
    above = ROWS[: ROWS.index(room(path)) + 1]
    assert {row for module in imports(path) if (row := row_of(module))} - set(above) == set()


def test_the_rule_sees_lazy_relative_and_public_imports(tmp_path: Path) -> None:
    """The checks above can fail: what they look for is found."""
    path = PACKAGE / "cli" / "imagined.py"
    text = "def f():\n    from ..table import x\n    import ablate.report.plots.curve\nfrom ablate import Study, job\n"
    found = {row_of(n) for node in ast.walk(ast.parse(text)) for n in imported(node, path)}
    assert found == {"table", "plots", "study", "job"}


@pytest.mark.parametrize("folder", ["mixers", "channels", "stems", "datasets"])
def test_spec_knows_folders_not_modules(folder: str) -> None:
    """A request is validated without importing what it names."""
    assert not {module for module in imports(PACKAGE / "spec.py") if module.startswith(f"ablate.{folder}")}


@pytest.mark.parametrize("path", [path for path in ROOMS if room(path) in WITHOUT_TORCH], ids=name)
def test_no_torch_when_imported(path: Path) -> None:
    at_once = imports_at_once(path)
    assert not packages(at_once) & {"torch", "torchvision", "timm"}
    heavy = {module for module in at_once if (row := row_of(module)) and imports_torch(row)}
    assert not heavy, "these import torch in turn"


def imports_torch(row: str) -> bool:
    return any("torch" in packages(imports_at_once(path)) for path in ROOMS if room(path) == row)


@pytest.mark.parametrize("path", [path for path in ROOMS if room(path) in WITHOUT_PANDAS], ids=name)
def test_no_pandas_on_the_way_to_a_record(path: Path) -> None:
    assert "pandas" not in packages(imports(path))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_submitit_is_for_launch(path: Path) -> None:
    assert "submitit" not in packages(imports(path)) or room(path) == "launch"


def modules_after(code: str) -> set[str]:
    """The packages a fresh interpreter holds after some code."""
    report = f"import sys; {code}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return packages(set(done.stdout.split()))


def test_importing_ablate_waits_for_nothing_heavy() -> None:
    assert not modules_after("import ablate") & {"torch", "pandas", "numpy", "timm", "submitit", "matplotlib"}


def test_planning_and_reporting_leave_torch_out() -> None:
    code = "import ablate; import ablate.study.study, ablate.store.records, ablate.dispatch.status, ablate.dispatch.worker, ablate.results.table, ablate.results.verdict"
    after = modules_after(code)
    assert "pandas" in after, "the check sees what is imported"
    assert not after & {"torch", "torchvision", "timm", "submitit"}


def test_a_launcher_leaves_torch_and_pandas_out() -> None:
    assert not modules_after("import ablate.dispatch.launch") & {"torch", "pandas", "timm"}


def test_the_document_tells_the_rooms_in_this_order() -> None:
    table = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `(\w+)(?:\.py|/)` \|", table, re.MULTILINE)
    assert told == ROWS
