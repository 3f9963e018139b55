"""The layers: imports run one way, and what is heavy is imported where it is needed."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import ablate

PACKAGE = Path(ablate.__file__).parent

# From the bottom: a package imports itself and those before it. zoo and study do not know each other.
LAYERS = "spec store model data train zoo study dispatch measure results report api cli".split()  # noqa: SIM905
BESIDE = {"zoo": "study", "study": "zoo"}
# The only modules of the packages without torch that import it when they are imported themselves.
TORCH_FREE = ("spec", "store", "study", "dispatch", "measure", "results", "report", "api", "cli")
NEED_TORCH = {"study.outline", "study.receptive_field", "measure.model", "measure.timing"}


def name_of(path: Path) -> str:
    """The dotted name of a file, without the `ablate.` before it; empty for `ablate/__init__.py`."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip(".")


FILES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py")) if "named_studies" not in path.parts}


def imported(node: ast.AST, package: str) -> Iterator[str]:
    """The dotted names that a statement imports; `from a import b` gives a.b."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        parts = ["ablate", *package.split(".")][: -node.level] if node.level else []
        yield from (".".join([*parts, *filter(None, [node.module]), alias.name]) for alias in node.names)


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def nodes(body: list[ast.stmt], *, at_once: bool) -> Iterator[ast.AST]:
    """The nodes that run when a file is imported; with `at_once` false, also those inside functions."""
    for node in body:
        if is_for_types(node) or (at_once and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            continue
        yield node
        yield from nodes([part for part in ast.iter_child_nodes(node) if isinstance(part, ast.stmt)], at_once=at_once)


@cache
def imports(name: str, *, at_once: bool = False) -> frozenset[str]:
    """What a module imports: modules of ablate without the `ablate.`, other packages by their first name."""
    body = ast.parse(FILES[name].read_text(encoding="utf-8")).body
    found = {one for node in nodes(body, at_once=at_once) for one in imported(node, name)}
    return frozenset(filter(None, map(resolved, found)))


def resolved(dotted: str) -> str:
    parts = dotted.split(".")
    if parts[0] != "ablate":
        return f"{parts[0]}!"
    if len(parts) > 1 and parts[1] in ablate._PUBLIC:
        parts = ["ablate", *ablate._PUBLIC[parts[1]].split(".")]
    while ".".join(parts[1:]) not in FILES:
        parts.pop()
    return ".".join(parts[1:])


def layer(name: str) -> str:
    return name.split(".")[0]


INSIDE = [name for name in FILES if layer(name) in LAYERS]


def test_every_package_is_a_layer_and_few_files_are_outside() -> None:
    assert {layer(name) for name in FILES if "." in name} == set(LAYERS)
    assert len([path for path in FILES.values() if path.parent == PACKAGE]) <= 6


def test_imports_run_one_way() -> None:
    """A package imports nothing above it, not even inside a function."""
    for name in INSIDE:
        above = {*LAYERS[LAYERS.index(layer(name)) + 1 :], BESIDE.get(layer(name), "")}
        assert not {one for one in imports(name) if layer(one) in above}, f"{name} imports what is above it"


def test_no_modules_import_each_other() -> None:
    graph = {name: {one for one in imports(name) if one in INSIDE} - {name} for name in INSIDE}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"these modules import each other: {' <- '.join(error.args[1])}")


def test_the_rule_sees_lazy_relative_and_public_imports() -> None:
    """The checks above can fail: what they look for is found."""
    text = "def f():\n    from ..results.table import x\n    import ablate.report\nfrom ablate import Study, dispatch\n"
    found = {resolved(one) for node in nodes(ast.parse(text).body, at_once=False) for one in imported(node, "cli.x")}
    assert found == {"results.table", "report", "study.study", "dispatch"}


@pytest.mark.parametrize("folder", ["model.mixers", "model.channels", "model.stems", "data.datasets"])
def test_a_run_is_validated_without_importing_what_it_names(folder: str) -> None:
    assert not {one for name in INSIDE if layer(name) == "spec" for one in imports(name) if one.startswith(folder)}


def test_what_needs_no_torch_does_not_wait_for_it() -> None:
    for name in INSIDE:
        if layer(name) in TORCH_FREE and name not in NEED_TORCH:
            assert not reached(name) & {"torch!", "torchvision!", "timm!"}, f"{name} waits for torch"


def reached(name: str) -> set[str]:
    """All that importing a module imports, through others too."""
    found, left = set[str](), [name]
    while left:
        for one in imports(left.pop(), at_once=True) - found:
            found.add(one)
            if one in FILES and one:
                left.append(one)
    return found


def test_no_pandas_on_the_way_to_a_record() -> None:
    way = LAYERS[: LAYERS.index("dispatch") + 1]
    assert not {name for name in INSIDE if layer(name) in way and "pandas!" in imports(name)}


def test_submitit_is_for_dispatch() -> None:
    assert {layer(name) for name in FILES if "submitit!" in imports(name)} == {"dispatch"}


def modules_after(code: str) -> set[str]:
    """The packages a fresh interpreter holds after some code."""
    report = f"import sys; {code}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


def test_importing_ablate_waits_for_nothing_heavy() -> None:
    assert not modules_after("import ablate") & {"torch", "pandas", "numpy", "timm", "submitit", "matplotlib"}


def test_planning_and_reporting_leave_torch_out() -> None:
    modules = "study.study dispatch.status dispatch.worker results.table results.verdict".split()  # noqa: SIM905
    after = modules_after("import " + ", ".join(f"ablate.{name}" for name in modules))
    assert "pandas" in after, "the check sees what is imported"
    assert not after & {"torch", "torchvision", "timm", "submitit"}


def test_a_launcher_leaves_torch_and_pandas_out() -> None:
    assert not modules_after("import ablate.dispatch.launch") & {"torch", "pandas", "timm"}


def test_public_names_are_no_packages() -> None:
    assert not set(ablate.__all__) & {layer(name) for name in FILES}


def test_the_document_has_the_packages_in_this_order() -> None:
    table = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)/` \|", table, re.MULTILINE) == LAYERS
