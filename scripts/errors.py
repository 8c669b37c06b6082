"""What a user can mend."""


class UserError(Exception):
    """A line that names what is wrong, its value, and what would be right."""
