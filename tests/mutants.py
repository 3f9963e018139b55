"""Change one detail of the code at a time and see whether the tests notice; run it before and after tests are removed.

    python tests/mutants.py                           four mutants of each area
    python tests/mutants.py --tests OLDER/tests       the same mutants, and the tests of another checkout
    python tests/mutants.py --area leases --count 20 --seed 1

A mutant is one comparison, sign, number, `and` or `not` replaced by another. The seed alone chooses them, so that two
sets of tests meet the same ones. A mutant survives when a test is missing, or when it changes nothing that can be seen:
read those that are left.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
LIMIT_S = 600  # tests that run longer than this have not passed

AREAS = {  # modules of ablate, and the tests that should notice
    "keys": (["spec/run.py", "spec/parts.py", "spec/seeds.py"], ["spec"]),
    "statistics": (["results/stats.py", "results/verdict.py", "results/contrasts.py"], ["results"]),
    "leases": (["dispatch/lease.py", "dispatch/ledger.py", "dispatch/slots.py"], ["dispatch"]),
    "mixing": (
        ["model/mixers/attention.py", "model/mixers/patch_ff.py", "model/mixers/gating.py", "data/mixup.py"],
        ["model", "data"],
    ),
    "evaluation": (["train/evaluate.py", "train/learner.py", "zoo/assess.py"], ["train", "zoo"]),
    "formulas": (["model/cost.py", "study/match.py", "measure/timing.py"], ["model", "study", "measure"]),
}

OPPOSITES = [
    *((ast.Lt, ast.GtE), (ast.Gt, ast.LtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot), (ast.In, ast.NotIn)),
    *((ast.And, ast.Or), (ast.Add, ast.Sub), (ast.Mult, ast.Div)),
]
SWAPS: dict[type[ast.AST], Any] = {a: b for pair in OPPOSITES for a, b in (pair, pair[::-1])}


@dataclass(frozen=True)
class Mutant:
    """One detail of a module, replaced by another."""

    module: Path
    line: int
    old: str
    new: str
    text: str  # of the whole module


def replaced(node: ast.AST) -> ast.AST | None:
    """Return the node with its operator or number replaced, or None where it has none."""
    match node:
        case ast.Compare(left=left, ops=[op], comparators=right) if type(op) in SWAPS:
            return ast.Compare(left, [SWAPS[type(op)]()], right)
        case ast.BinOp(op=ast.Div(), right=ast.JoinedStr() | ast.Constant(value=str())):
            return None  # a path
        case ast.BinOp(left=left, op=op, right=right) if type(op) in SWAPS:
            return ast.BinOp(left, SWAPS[type(op)](), right)
        case ast.BoolOp(op=op, values=values):
            return ast.BoolOp(SWAPS[type(op)](), values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return operand
        case ast.Constant(value=bool(value)):
            return ast.Constant(not value)
        case ast.Constant(value=int(value)):
            return ast.Constant(value + 1)
    return None


def evaluated(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a module that do something when it runs: no annotations and no `|` of types."""
    children: list[ast.AST]
    if isinstance(tree, ast.AnnAssign):
        children = [child for child in (tree.target, tree.value) if child]
    elif isinstance(tree, ast.arg):
        children = []
    elif isinstance(tree, ast.FunctionDef):
        children = [tree.args, *tree.body]
    else:
        children = list(ast.iter_child_nodes(tree))
    yield tree
    for child in children:
        yield from evaluated(child)


def mutants(module: Path) -> list[Mutant]:
    """Return every mutant of a module."""
    source = module.read_text()
    found = []
    for node in evaluated(ast.parse(source)):
        new, old = replaced(node), ast.get_source_segment(source, node)
        if not isinstance(node, ast.expr) or new is None or old is None:
            continue
        replacement = f"({ast.unparse(new)})"
        found.append(Mutant(module, node.lineno, old, replacement, _with(source, node, replacement)))
    return found


def _with(source: str, node: ast.expr, replacement: str) -> str:
    """Return a source with a node's text replaced."""
    assert node.end_lineno
    lines = source.encode().splitlines(keepends=True)  # columns of ast are bytes
    head = b"".join(lines[: node.lineno - 1]) + lines[node.lineno - 1][: node.col_offset]
    tail = lines[node.end_lineno - 1][node.end_col_offset :] + b"".join(lines[node.end_lineno :])
    return (head + replacement.encode() + tail).decode()


def checkout(folder: Path, tests: Path) -> None:
    """Copy what git tracks into a folder, with the tests of a checkout."""
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name in tracked:
        if (REPOSITORY / name).is_file() and not name.startswith("tests/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, folder / name)
    shutil.copytree(tests, folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))


def passes(folder: Path, tests: list[str]) -> bool:
    """Return whether tests pass in a folder; too long a run, or no run at all, has not passed."""
    command = [sys.executable, "-m", "pytest", "-qx", "-p", "no:cacheprovider", *(f"tests/{test}" for test in tests)]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(folder)},
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
        )
        return done.returncode == 0
    except subprocess.TimeoutExpired:
        return False


def main() -> int:
    """Try the mutants; return 1 if some survive, 2 if the tests fail without them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--area", choices=AREAS, action="append", help="default: all")
    parser.add_argument("--count", type=int, default=4, help="mutants of each area (4)")
    parser.add_argument("--seed", type=int, default=0, help="chooses the mutants (0)")
    parser.add_argument("--tests", type=Path, default=REPOSITORY / "tests", help="the tests (of this checkout)")
    options = parser.parse_args()
    survivors = total = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkout(folder, options.tests)
        for area in options.area or AREAS:
            modules, tests = AREAS[area]
            if not passes(folder, tests):
                print(f"the tests of {area} fail without any mutant; a mutant proves nothing there", flush=True)
                return 2
            pool = [mutant for module in modules for mutant in mutants(folder / "ablate" / module)]
            for mutant in random.Random(options.seed).sample(pool, min(options.count, len(pool))):
                original = mutant.module.read_text()
                mutant.module.write_text(mutant.text)
                survives = passes(folder, tests)
                mutant.module.write_text(original)
                survivors, total = survivors + survives, total + 1
                place = f"{mutant.module.relative_to(folder)}:{mutant.line}"
                print(
                    f"{'SURVIVES' if survives else 'killed  '}  {area:10}  {place:34}  {mutant.old}  →  {mutant.new}",
                    flush=True,
                )
    print(f"{total - survivors} of {total} killed (seed {options.seed})")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
