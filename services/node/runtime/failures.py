"""The runtime's one error."""


class CallFailed(Exception):
    """A call that has no effect; `code` is a gRPC status name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
