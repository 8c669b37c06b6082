"""What one walk of an eligible packet did."""

from typing import TYPE_CHECKING, Final

from podwire.services.node.kernel.flows.shapes import Shape

if TYPE_CHECKING:
    from podwire.services.node.kernel.conntrack.entry import Connection
    from podwire.services.node.kernel.counters import Counter
    from podwire.services.node.kernel.devices.bridge import FdbEntry
    from podwire.services.node.kernel.namespace import Namespace

FOREVER: Final = 1 << 62


class Recording:
    """Goes with a packet; `entry` is where it entered, `first` its bytes there."""

    __slots__ = (
        "connections",
        "counters",
        "decapsulated",
        "encapsulated",
        "entry",
        "first",
        "generation",
        "key",
        "maximum",
        "overhead",
        "refreshes",
        "shape",
        "underlay",
        "valid_until",
    )

    def __init__(self, shape: Shape, entry: int, key: int, first: bytes, generation: int) -> None:
        self.shape = shape
        self.entry = entry
        self.key = key
        self.first = first
        self.generation = generation
        self.counters: list[tuple[Counter, int]] = []
        self.connections: list[Connection] = []
        self.refreshes: list[FdbEntry] = []
        self.valid_until = FOREVER
        self.maximum = 65535
        self.encapsulated = self.overhead = 0
        self.decapsulated = False
        self.underlay: Namespace | None = None

    def limit_length(self, mtu: int) -> None:
        """Packets that would not fit `mtu` at this point must walk."""
        self.maximum = min(self.maximum, mtu - self.overhead)

    def limit_time(self, deadline: int) -> None:
        """From `deadline` (ns) on packets must walk."""
        self.valid_until = min(self.valid_until, deadline)

    def encapsulate(self, underlay: "Namespace", overhead: int) -> None:
        """The packet went into a tunnel over `underlay`, which put so many bytes before it."""
        self.encapsulated += 1
        self.overhead += overhead
        self.underlay = underlay
