"""The options that say how runs are executed: one for each field of `Resources`, declared by the field itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field
from functools import wraps
from typing import Annotated, Any

import typer

from ablate.spec.resources import Resources, from_settings, options

PANEL = "How runs are executed"


def with_resources(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command whose parameter `given` holds the options of this kind that were given, by field.

    Each field of `Resources` becomes an option of the command, in the place of `given`.
    """
    signature = inspect.signature(command, eval_str=True)
    names = [item.name for item in options()]

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        given = {name: value for name in names if (value := kwargs.pop(name)) is not None}
        return command(*args, given=given, **kwargs)

    parameters = [item for item in signature.parameters.values() if item.name != "given"]
    parameters += [_parameter(item) for item in options()]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {item.name: item.annotation for item in parameters} | {"return": signature.return_annotation}
    return run


def _parameter(item: Field[Any]) -> inspect.Parameter:
    option = typer.Option(_flag(item), help=_help(item), rich_help_panel=PANEL)
    if item.default is MISSING:
        option.metavar = "NAME=VALUE"
    kind: Any = list[str] if item.default is MISSING else type(item.default)
    annotation = Annotated[kind | None, option]
    return inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _flag(item: Field[Any]) -> str:
    name = item.name.replace("_", "-")
    return f"--{name}/--no-{name}" if isinstance(item.default, bool) else f"--{name}"


def _help(item: Field[Any]) -> str:
    default = item.default
    told = default is not MISSING and default != "" and not isinstance(default, bool)
    return f"{item.metadata['meaning']} [default: {default}]" if told else str(item.metadata["meaning"])


def resources(given: Mapping[str, Any], data: Mapping[str, str]) -> Resources:
    """The options given, over the user's settings, over the defaults.

    Raises:
        SpecError: when one is wrong.
    """
    chosen = from_settings() | dict(given)
    if isinstance(pairs := chosen.get("slurm"), list):
        chosen["slurm"] = dict(pair.lstrip("-").partition("=")[::2] for pair in pairs)
    return Resources(data=data, **chosen)


def words(given: Mapping[str, Any]) -> list[str]:
    """Options as they would be typed."""
    found = []
    for name, value in given.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            found.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, list):
            found += [f"--{flag}={one}" for one in value]
        else:
            found.append(f"--{flag}={value}")
    return found
