"""`python -m ablate` is `ablate`."""

from ablate.startup import settle

settle()

from ablate.cli import main  # noqa: E402 - only now is nothing imported from the current folder

main()
