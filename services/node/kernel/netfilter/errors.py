"""What the iptables tools refuse."""


class NetfilterError(ValueError):
    """Text or arguments that iptables would refuse; the message is the tool's, `line` counts from 1 in a restore."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
