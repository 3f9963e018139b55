"""What may go wrong in launching itself."""


class LaunchError(RuntimeError):
    """Workers cannot be started here, or jobs not submitted."""
