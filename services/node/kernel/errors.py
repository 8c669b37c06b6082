"""The error of kernel calls: an errno and its text."""

import os


class KernelError(OSError):
    """A refused kernel operation; `errno` as Linux gives it, `strerror` its text or a closer reason."""

    def __init__(self, number: int, message: str = "") -> None:
        super().__init__(number, message or os.strerror(number))
