"""How awk programs fail."""


class AwkFailure(Exception):
    """A program that fails while it runs."""
