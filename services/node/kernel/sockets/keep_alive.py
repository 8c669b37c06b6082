"""TCP keep-alive (RFC 9293 section 3.8.4; net/ipv4/tcp_timer.c, tcp_keepalive_timer)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from podwire.services.node.kernel.namespace import Namespace

SECOND: Final = 1_000_000_000


class KeepAlive:
    """Asks a silent peer whether it still lives; gives up after as many questions as tcp_keepalive_probes says.

    `is_sending` says that something is under way, so that the peer's silence is judged by retransmission.
    """

    __slots__ = ("_expire", "_heard_at", "_is_sending", "_namespace", "_probe", "_probes", "_timer")

    def __init__(
        self,
        namespace: "Namespace",
        is_sending: Callable[[], bool],
        probe: Callable[[], None],
        expire: Callable[[], None],
    ) -> None:
        self._namespace = namespace
        self._is_sending, self._probe, self._expire = is_sending, probe, expire
        self._timer = namespace.kernel.timer(self._timed_out)
        self._heard_at = namespace.kernel.now
        self._probes = 0
        self._wait(self._setting("time"))

    def _setting(self, name: str) -> int:
        return int(self._namespace.sysctls[f"net.ipv4.tcp_keepalive_{name}"])

    def _wait(self, seconds: float) -> None:
        self._timer.set(self._namespace.kernel.now + int(seconds * SECOND))

    def heard(self) -> None:
        """The peer said something."""
        self._heard_at, self._probes = self._namespace.kernel.now, 0

    def stop(self) -> None:
        """The connection is gone, or nobody wants to know any more."""
        self._timer.cancel()

    def _timed_out(self) -> None:
        idle_limit = self._setting("time")
        idle = (self._namespace.kernel.now - self._heard_at) / SECOND
        if self._is_sending():
            return self._wait(idle_limit)
        if idle < idle_limit:
            return self._wait(idle_limit - idle)
        if self._probes >= self._setting("probes"):
            return self._expire()
        self._probes += 1
        self._probe()
        return self._wait(self._setting("intvl"))
