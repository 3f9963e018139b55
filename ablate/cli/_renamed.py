"""Old names of commands and options, each with its new one."""

from __future__ import annotations

from collections.abc import Sequence

COMMANDS = {"audit": "verify"}
OPTIONS = {
    "bench": {"--again": "--force"},
    "evaluate": {"--part": "--split"},
    "plan": {"--audit": "--compare", "--allow-broken": "--max-corrupt"},
    "report": {"--audit": "--compare", "--no-audit": "--no-compare"},
    "run": {"--retry": "--retry-failed", "--retries": "--max-retries", "--allow-broken": "--max-corrupt"},
}


def renamed(arguments: Sequence[str]) -> tuple[str, str, list[str]] | None:
    """Return the first old name in a command line, its new name, and the line with new names; None without one.

    Args:
        arguments: of the command line, from the command on.
    """
    command = COMMANDS.get(arguments[0], arguments[0])
    options = OPTIONS.get(command, {})
    line, found = [command], [(arguments[0], command)] if command != arguments[0] else []
    for word in arguments[1:]:
        name, equals, value = word.partition("=")
        new = options.get(name, name)
        found += [(name, new)] if new != name else []
        line.append(f"{new}{equals}{value}")
    return (*found[0], line) if found else None
