"""Two worlds with one interface: podwire's kernel, and this machine's in network namespaces."""

import array
import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from tests.oracle.commands import render

from podwire.proto.messages import kernel as m
from podwire.services.node.kernel.kernel import Kernel, RandomSource
from podwire.services.node.kernel.printing.netfilter import conntrack_statistics
from podwire.services.node.kernel.programming import apply_operation
from podwire.services.node.kernel.sockets.capture import PacketSocket

ETH_P_ALL: Final = 3
PACKET_OUTGOING: Final = 4
SIOCETHTOOL: Final = 0x8946
ETHTOOL_STXCSUM: Final = 0x17
_BARRIER_TYPE: Final = 0x88B5
"""An EtherType for experiments (IEEE 802)."""
_BARRIER_FRAME: Final = bytes(12) + _BARRIER_TYPE.to_bytes(2) + bytes(46)
_HOPS: Final = 16
"""A packet, and what it causes, crosses fewer veths than that in a row."""


@dataclass(frozen=True, slots=True, order=True)
class Arrival:
    """A frame that came in at a device of a namespace."""

    netns: str
    device: str
    frame: bytes


class World(Protocol):
    """Namespaces to program, frames to send, arrivals to see."""

    def build(self, operations: Iterable[Any], points: Iterable[tuple[str, str]]) -> None:
        """Program a topology and listen at some devices (namespace, device)."""

    def do(self, operation: Any) -> None:
        """Program one thing more."""

    def send(self, netns: str, device: str, frame: bytes) -> list[Arrival]:
        """Send a frame out of a device, as a packet socket does; what arrives because of it, in order at each point."""

    def rules(self, netns: str, family: str) -> str:
        """`iptables-save -c`, or for the family `nft` the whole `nft list ruleset`."""

    def statistics(self, netns: str) -> dict[str, int]:
        """The sums of `conntrack -S` over all processors, but for `found`, which depends on how NAT searches."""

    def close(self) -> None:
        """Take everything down."""


class PodwireWorld:
    """The emulated kernel: all namespaces in one machine, on the same clock as the other world (limits are by time)."""

    def __init__(self, random: RandomSource, *, cached: bool = True) -> None:
        self.kernel = Kernel("oracle", "boot", random)
        self.kernel.flows.enabled = cached
        self._taps: list[tuple[str, str, PacketSocket]] = []

    def build(self, operations: Iterable[Any], points: Iterable[tuple[str, str]]) -> None:
        for operation in operations:
            self.do(operation)
        for netns, device in points:
            self._taps.append((netns, device, self.kernel.namespace(netns).sockets.open_capture(device)))

    def do(self, operation: Any) -> None:
        apply_operation(self.kernel, operation)
        if isinstance(operation, m.NetnsAdd):
            for key, value in UNLIMITED.items():
                apply_operation(self.kernel, m.SysctlWrite(netns=operation.netns, key=key, value=value))
        self._drain()

    def send(self, netns: str, device: str, frame: bytes) -> list[Arrival]:
        self._drain()
        self.kernel.send_frame(netns, device, frame, time.monotonic_ns())
        return self._drain()

    def collect(self) -> list[Arrival]:
        """What has arrived without anything being sent."""
        return self._drain()

    def _drain(self) -> list[Arrival]:
        arrivals = []
        for netns, device, tap in self._taps:
            while (seen := tap.receive()) is not None:
                if not seen.is_outgoing:
                    arrivals.append(Arrival(netns, device, seen.frame))
        return arrivals

    def rules(self, netns: str, family: str) -> str:
        self.kernel.settle()
        if family == "nft":
            return str(apply_operation(self.kernel, m.Read(netns=netns, kind="nft-ruleset")))
        wanted = m.Read(netns=netns, kind="iptables-save", family="ipv6" if family == "ipv6" else "ipv4")
        return str(apply_operation(self.kernel, wanted))

    def statistics(self, netns: str) -> dict[str, int]:
        return _sums(conntrack_statistics(self.kernel.namespace(netns)))

    def close(self) -> None:
        for _, _, tap in self._taps:
            tap.close()


def _sums(text: str) -> dict[str, int]:
    sums: dict[str, int] = {}
    for name, _, count in (word.partition("=") for line in text.splitlines() for word in line.split()[1:]):
        sums[name] = sums.get(name, 0) + int(count)
    sums.pop("found")
    return sums


def why_not() -> str:
    """Why this machine cannot be the oracle, "" if it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for tool in ("ip", "iptables-restore", "ip6tables-restore", "nft", "ipset", "bridge", "sysctl"):
        if not any(Path(folder, tool).exists() for folder in os.get_exec_path()):
            return f"{tool} is not installed"
    probe = subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False)
    return "" if probe.returncode == 0 else "network namespaces cannot be made here"


class LinuxWorld:
    """This machine's kernel. Namespaces are named pw<pid>-<name>, and go with `close`."""

    def __init__(self) -> None:
        self._prefix = f"pw{os.getpid()}-"
        self._namespaces: list[str] = []
        self._taps: list[tuple[str, str, socket.socket]] = []
        self._senders: dict[tuple[str, str], socket.socket] = {}
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._processors = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(self._processors)})
        self._add("barrier")
        self.run("barrier", ["ip", "link", "add", "near", "up", "type", "veth", "peer", "name", "far"])
        self.run("barrier", ["ip", "link", "set", "far", "up"])
        self._near = self.packet_socket("barrier", "near")
        self._far = self.packet_socket("barrier", "far", _BARRIER_TYPE)
        self._far.settimeout(10)

    def build(self, operations: Iterable[Any], points: Iterable[tuple[str, str]]) -> None:
        for operation in operations:
            self.do(operation)
        for netns, device in points:
            self._taps.append((netns, device, self.packet_socket(netns, device)))
        self._collect()

    def do(self, operation: Any) -> None:
        if isinstance(operation, m.NetnsAdd):
            self._add(operation.netns)
            return
        for netns, argv, text in render(operation):
            words = [f"{self._prefix}{word}" if word in self._namespaces else word for word in argv]
            self.run(netns, words, text)
            if isinstance(operation, m.LinkAdd) and operation.kind == "veth":
                self._compute_checksums(netns, operation.name)
                self._compute_checksums(operation.peer_netns, operation.peer)

    def _compute_checksums(self, netns: str, device: str) -> None:
        """Turn transmit checksum offload off: otherwise what the kernel itself sends has none yet."""
        value = array.array("B", struct.pack("II", ETHTOOL_STXCSUM, 0))
        request = struct.pack("16sP", device.encode(), value.buffer_info()[0])
        with self.inside(netns), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, SIOCETHTOOL, request)

    def _add(self, netns: str) -> None:
        self._call(["ip", "netns", "add", self._prefix + netns])
        self._namespaces.append(netns)
        for key, value in (UNLIMITED | _QUIET).items():
            self.run(netns, ["sysctl", "-qw", f"{key}={value}"], "")
        self.run(netns, ["ip", "link", "set", "lo", "up"], "")

    def run(self, netns: str, argv: list[str], text: str = "") -> str:
        """What a command prints in a namespace; AssertionError with its complaint if it fails."""
        return self._call(self.argv(netns, argv), text)

    def argv(self, netns: str, argv: list[str]) -> list[str]:
        """The command line that runs another in a namespace."""
        return ["ip", "netns", "exec", self._prefix + netns, *argv]

    def _call(self, argv: list[str], text: str = "") -> str:
        done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(f"{' '.join(argv)}: {done.stderr.strip()}\n{text}")
        return done.stdout

    def packet_socket(self, netns: str, device: str, ethertype: int = ETH_P_ALL) -> socket.socket:
        """A packet socket in a namespace, not blocking."""
        with self.inside(netns):
            opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ethertype))
            opened.bind((device, 0))
            opened.setblocking(False)
        return opened

    @contextmanager
    def inside(self, netns: str) -> Iterator[None]:
        """Do something in a namespace, as open a socket that stays there."""
        descriptor = os.open(f"/run/netns/{self._prefix}{netns}", os.O_RDONLY)
        try:
            self._enter(descriptor)
            yield
        finally:
            self._enter(self._home)
            os.close(descriptor)

    def _enter(self, descriptor: int) -> None:
        if self._libc.setns(descriptor, 0) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    def send(self, netns: str, device: str, frame: bytes) -> list[Arrival]:
        self._collect()
        sender = self._senders.get((netns, device))
        if sender is None:
            sender = self._senders[netns, device] = self.packet_socket(netns, device)
        sender.send(frame)
        return self._collect()

    def collect(self) -> list[Arrival]:
        """What has arrived without anything being sent."""
        return self._collect()

    def _collect(self) -> list[Arrival]:
        """Everything that is under way. A veth hands frames to its processor's backlog, which is first in, first out
        (net/core/dev.c, enqueue_to_backlog): a frame that is sent now on the same processor arrives after them, and
        once for each hop that they may still cause."""
        arrivals: list[Arrival] = []
        for _ in range(_HOPS):
            self._near.send(_BARRIER_FRAME)
            self._far.recv(len(_BARRIER_FRAME))
        for netns, device, tap in self._taps:
            arrivals += [Arrival(netns, device, frame) for frame in _incoming(tap)]
        for sender in self._senders.values():
            _empty(sender)
        return arrivals

    def rules(self, netns: str, family: str) -> str:
        if family == "nft":
            return self.run(netns, ["nft", "list", "ruleset"], "")
        return self.run(netns, ["ip6tables-save" if family == "ipv6" else "iptables-save", "-c"], "")

    def statistics(self, netns: str) -> dict[str, int]:
        return _sums(self.run(netns, ["conntrack", "-S"], ""))

    def close(self) -> None:
        for _, _, tap in self._taps:
            tap.close()
        for sender in (*self._senders.values(), self._near, self._far):
            sender.close()
        os.sched_setaffinity(0, self._processors)
        for netns in self._namespaces:
            subprocess.run(["ip", "netns", "delete", self._prefix + netns], capture_output=True, check=False)
        os.close(self._home)


def _incoming(tap: socket.socket) -> Iterator[bytes]:
    try:
        while True:
            frame, where = tap.recvfrom(65600)
            if where[2] != PACKET_OUTGOING:
                yield frame
    except BlockingIOError:
        return


def _empty(sender: socket.socket) -> None:
    try:
        while True:
            sender.recv(1)
    except BlockingIOError:
        return


UNLIMITED: Final = {"net.ipv4.icmp_ratemask": "0", "net.ipv6.icmp.ratelimit": "0"}
"""ICMP errors without limits of rate, which would depend on how fast the test runs."""
_QUIET: Final = {
    "net.ipv4.ip_forward": "0",
    "net.ipv4.conf.all.send_redirects": "0",
    "net.ipv4.conf.default.send_redirects": "0",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    "net.ipv6.conf.all.accept_dad": "0",
    "net.ipv6.conf.default.accept_dad": "0",
    "net.ipv6.conf.all.router_solicitations": "0",
    "net.ipv6.conf.default.router_solicitations": "0",
    "net.ipv6.conf.default.mldv2_unsolicited_report_interval": "1000000000",
    "net.ipv6.conf.default.mldv1_unsolicited_report_interval": "1000000000",
}
"""What would come in between: the host's own ip_forward, which a namespace begins with (a container engine sets it);
redirects, and what IPv6 says by itself when a link comes up."""
