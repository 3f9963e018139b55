"""Commands about results."""

COMMANDS = {}
