"""The connection table (ip_vs_conn.c): which server a client's connection went to, until its timer runs out."""

from typing import TYPE_CHECKING, Final

from podwire.services.node.kernel.ipvs.service import Destination
from podwire.services.node.kernel.ipvs.statistics import Statistics

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace

type Endpoint = tuple[int, int]
type Key = tuple[int, int, int, int, int]
"""(protocol, client, client's port, address, port)."""

SECOND: Final = 1_000_000_000
LIMIT: Final = 262_144
"""So many connections and templates at most; the kernel is bounded by memory alone."""
_FIRST_TIMEOUT: Final = 3
_CONTROLLED: Final = 60
"""A template whose connections live on is asked again after so many seconds."""


class IpvsConnection:
    """A connection, or a template that makes a client's later connections go to the same server.

    `timeout` is ns; `tracked` says that connection tracking knows it (net.ipv4.vs.conntrack).
    """

    __slots__ = (
        *("assured", "client", "control", "controls", "destination", "established", "one_packet", "packets"),
        *("protocol", "server", "state", "template", "timeout", "timer", "tracked", "virtual"),
    )

    def __init__(
        self,
        table: "ConnectionTable",
        protocol: int,
        client: Endpoint,
        virtual: Endpoint,
        server: Endpoint,
        destination: Destination,
        *,
        template: bool = False,
    ) -> None:
        self.protocol = protocol
        self.client, self.virtual, self.server = client, virtual, server
        self.destination = destination
        self.template = template
        self.state = "NONE"
        self.timeout = _FIRST_TIMEOUT * SECOND
        self.established = self.assured = self.one_packet = self.tracked = False
        self.control: IpvsConnection | None = None
        self.controls = 0
        self.packets = 0
        self.timer = table.kernel.timer(lambda: table.expired(self))

    @property
    def shown_state(self) -> str:
        """The state that /proc/net/ip_vs_conn names (ip_vs_state_name)."""
        return ("ASSURED" if self.assured else "NONE") if self.template else self.state

    @property
    def request_key(self) -> Key:
        """What the client's packets find it by."""
        return (self.protocol, *self.client, *self.virtual)

    @property
    def reply_key(self) -> Key:
        """What the server's packets find it by."""
        return (self.protocol, *self.client, *self.server)

    def statistics(self) -> tuple[Statistics, ...]:
        """Where its packets are counted besides the total; nowhere once its server is deleted (ip_vs_in_stats)."""
        server = self.destination
        return (server.statistics, server.service.statistics) if server.available else ()

    def moved(self, state: str) -> None:
        """Enter a state; established connections are counted apart."""
        established = state == "ESTABLISHED"
        if established != self.established:
            step = 1 if established else -1
            self.destination.active += step
            self.destination.inactive -= step
            self.established = established
        if established and self.control is not None:
            self.control.assured = True
        self.state = state


class ConnectionTable:
    """All connections of a namespace, oldest first."""

    def __init__(self, namespace: "Namespace") -> None:
        self._namespace = namespace
        self.kernel = namespace.kernel
        self.requests: dict[Key, IpvsConnection] = {}
        self.templates: dict[Key, IpvsConnection] = {}
        self._replies: dict[Key, IpvsConnection] = {}

    def __len__(self) -> int:
        return len(self.requests) + len(self.templates)

    def reply(self, key: Key) -> IpvsConnection | None:
        """The connection that a server's packet belongs to."""
        return self._replies.get(key)

    def add(self, connection: IpvsConnection, control: IpvsConnection | None = None) -> bool:
        """Enter a connection and count it at its server; false if the table is full."""
        if len(self) >= LIMIT:
            return False
        server = connection.destination
        if connection.template:
            self.templates[connection.request_key] = connection
            server.persistent += 1
        else:
            self.requests[connection.request_key] = connection
            self._replies[connection.reply_key] = connection
            server.inactive += 1
        if control is not None:
            connection.control = control
            control.controls += 1
        server.bound()
        self.touch(connection)
        return True

    def touch(self, connection: IpvsConnection) -> None:
        """Start its timer anew (ip_vs_conn_put); one that is for one packet ends at once."""
        if connection.one_packet:
            return self.remove(connection)
        return connection.timer.set(self.kernel.now + connection.timeout)

    def expired(self, connection: IpvsConnection) -> None:
        """Its time is over; a template outlives its connections."""
        if connection.controls:
            connection.timeout = _CONTROLLED * SECOND
            return connection.timer.set(self.kernel.now + connection.timeout)
        return self.remove(connection)

    def remove(self, connection: IpvsConnection) -> None:
        """Forget a connection, and what connection tracking knows of it."""
        connection.timer.cancel()
        server = connection.destination
        if connection.template:
            if self.templates.get(connection.request_key) is connection:
                del self.templates[connection.request_key]
            server.persistent -= 1
        else:
            self._remove_keys(connection)
            server.active -= connection.established
            server.inactive -= not connection.established
            self._drop_tracking(connection)
        if connection.control is not None:
            connection.control.controls -= 1
        server.unbound()

    def _remove_keys(self, connection: IpvsConnection) -> None:
        if self.requests.get(connection.request_key) is connection:
            del self.requests[connection.request_key]
        if self._replies.get(connection.reply_key) is connection:
            del self._replies[connection.reply_key]

    def _drop_tracking(self, connection: IpvsConnection) -> None:
        if not connection.tracked or connection.one_packet:
            return
        tracked = self._namespace.netfilter.connections
        found = tracked.by_tuple.get(connection.request_key)
        if found is not None:
            tracked.remove(found[0])
