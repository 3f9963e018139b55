"""The options of `Resources`: each of its fields declares one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field
from functools import wraps
from typing import Annotated, Any

import typer

from ablate.spec.errors import SpecError
from ablate.spec.resources import options

RUN, SLURM = "Resources of each run", "Slurm"  # groups of options
PREFIX = "Slurm: "  # of the meaning of a field in the second group


def with_resources(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return the command with one option for each field of `Resources`.

    The options that a user gives reach it as the mapping `resources`, by field.
    """
    signature = inspect.signature(command, eval_str=True)
    names = [item.name for item in options()]

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        given = {name: value for name in names if (value := kwargs.pop(name)) is not None}
        if pairs := given.pop("slurm", None):
            given["slurm"] = dict(map(_pair, pairs))
        return command(*args, resources=given, **kwargs)

    parameters = [item for item in signature.parameters.values() if item.name != "resources"]
    parameters += [_parameter(item) for item in options()]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {item.name: item.annotation for item in parameters} | {"return": signature.return_annotation}
    return run


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.lstrip("-").partition("=")
    if not name.strip():
        raise SpecError(f"--slurm must be NAME or NAME=VALUE, got {text!r}")
    return name, value


def _parameter(item: Field[Any]) -> inspect.Parameter:
    group = SLURM if str(item.metadata["meaning"]).startswith(PREFIX) else RUN
    option = typer.Option(_flag(item), help=_help(item), rich_help_panel=group)
    if item.default is MISSING:
        option.metavar = "NAME=VALUE"
    kind: Any = list[str] if item.default is MISSING else type(item.default)
    annotation = Annotated[kind | None, option]
    return inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _flag(item: Field[Any]) -> str:
    name = item.name.replace("_", "-")
    return f"--{name}/--no-{name}" if isinstance(item.default, bool) else f"--{name}"


def _help(item: Field[Any]) -> str:
    meaning, default = str(item.metadata["meaning"]).removeprefix(PREFIX), item.default
    meaning = meaning[0].upper() + meaning[1:] if item.name != "device" else meaning
    shown = default is not MISSING and default != "" and not isinstance(default, bool)
    return f"{meaning} [default: {default}]" if shown else meaning
