"""What Services cost kube-proxy and a node's kernel: full syncs, one endpoint's change, rules passed, cost of a lookup.

One node's proxier and kernel in one process, at 10, 1,000 and 10,000 Services of 3 endpoints; the bus between them is
left out. Beside it, where it can be, what this machine's own iptables-restore takes for the same texts.
"""

import gc
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.bench.kernels import PORT, Counting, link_to, udp_frame
from tests.bench.table import Row
from tests.unit.kernel.topology import Network

from podwire.services.kube_proxy.core.endpoints import Endpoint
from podwire.services.kube_proxy.core.fold import Change
from podwire.services.kube_proxy.core.iptables.book import IptablesBook
from podwire.services.kube_proxy.core.modes import MODES
from podwire.services.kube_proxy.core.ports import PortKey, ServicePortName, ServicePortState
from podwire.services.kube_proxy.core.rulebook import Observed, Rulebook
from podwire.services.kube_proxy.core.surroundings import Surroundings

COUNTS: Final = (10, 1_000, 10_000)
ENDPOINTS: Final = 3
CHANGES: Final = 12
FLOWS: Final = 400
ROUNDS: Final = 5
AROUND: Final = Surroundings(cluster_cidr="10.244.0.0/16", node_ip="10.0.0.1")
States = dict[PortKey, ServicePortState]


def states(count: int) -> States:
    """So many UDP Services of three endpoints each, all of them in the other node's pod network."""
    found = {}
    for number in range(count):
        name = ServicePortName("default", f"s{number}", "")
        endpoints = tuple(
            Endpoint(f"10.244.2.{2 + index}", PORT + index, False, True, True, False) for index in range(ENDPOINTS)
        )
        address = f"10.{100 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
        found[name, "udp"] = ServicePortState(
            name=name, protocol="udp", cluster_ip=address, port=80, endpoints=endpoints, cluster_endpoints=endpoints
        )
    return found


def _without_one(state: ServicePortState) -> ServicePortState:
    return replace(state, endpoints=state.endpoints[1:], cluster_endpoints=state.endpoints[1:])


class Measured:
    """A node in a mode with so many Services."""

    def __init__(self, mode: str, count: int) -> None:
        self.network = Network(2)
        self.network[1].pod("one", 2)
        self.network[2].pod("two", 2)
        self.counting = Counting(self.network, 2, "two")
        self.states = states(count)
        self.book: Rulebook = MODES[mode].rulebook(AROUND)
        began = time.perf_counter()
        self.network[1].do(*self.book.full(self.states, Observed()))
        self.full = time.perf_counter() - began

    def change(self) -> float:
        """Seconds from one endpoint's change to the kernel's having it: the median of some."""
        taken = []
        keys = list(self.states)
        gc.collect()
        for number in range(CHANGES):
            state = self.states[keys[number * 7 % len(keys)]]
            for before, after in ((state, _without_one(state)), (_without_one(state), state)):
                began = time.perf_counter()
                self.network[1].do(*self.book.update([Change(before, after)]))
                taken.append(time.perf_counter() - began)
        return sorted(taken)[len(taken) // 2]

    def addition(self) -> float:
        """Seconds to add one Service."""
        [(_, state)] = states(1).items()
        name = ServicePortName("default", "zz", "")
        fresh = replace(state, name=name, cluster_ip="10.99.0.1")
        began = time.perf_counter()
        self.network[1].do(*self.book.update([Change(None, fresh)]))
        return time.perf_counter() - began

    def lookup(self) -> tuple[int, float]:
        """Rules that the first packet of a flow to the last Service passes, and the µs that such a packet takes: the
        best of some rounds."""
        network, last = self.network, list(self.states.values())[-1].cluster_ip
        link, ports = link_to(network, 1, "one", "cni0"), iter(range(10_000, 60_000))
        kernel = network[1].kernel
        kernel.send_frame("one", "eth0", udp_frame(link, "10.244.1.2", last, next(ports), 80), network.now, "t")
        network.settle()
        passed, taken = self._passed(), []
        for _ in range(ROUNDS):
            frames = [udp_frame(link, "10.244.1.2", last, next(ports), 80) for _ in range(FLOWS)]
            gc.collect()
            began = time.perf_counter()
            for frame in frames:
                kernel.send_frame("one", "eth0", frame, network.now)
                kernel.transmitted.clear()
            taken.append((time.perf_counter() - began) / FLOWS * 1e6)
        return passed, min(taken)

    def _passed(self) -> int:
        """At each table of each hook as many as the trace says at most."""
        found: dict[tuple[str, str], int] = {}
        for hop in self.network[1].kernel.hops:
            if hop.table:
                found[hop.hook, hop.table] = max(found.get((hop.hook, hop.table), 0), hop.rules_passed)
        return sum(found.values())


def real_restore(count: int) -> tuple[float, float] | None:
    """Seconds that this machine's iptables-legacy-restore takes for everything, and for one endpoint's change."""
    program = shutil.which("iptables-legacy-restore")
    unshare = shutil.which("unshare")
    if program is None or unshare is None:
        return None
    book, given = IptablesBook(AROUND), states(count)
    whole = book.full_text(given, [])
    state = next(iter(given.values()))
    part = book.update_text([Change(state, _without_one(state))])
    script = (
        f'for f in "$@"; do s=$(date +%s%N); {program} --noflush < "$f" || exit 1; e=$(date +%s%N); echo $((e-s)); done'
    )
    try:
        return _timed([unshare, "-n", "bash", "-c", script, "-"], whole, part)
    except (OSError, subprocess.SubprocessError):
        return None


def _timed(command: list[str], *texts: str) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / str(number) for number in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            path.write_text(text)
        done = subprocess.run([*command, *map(str, paths)], capture_output=True, text=True, check=True, timeout=120)
    whole, part = (int(line) / 1e9 for line in done.stdout.split())
    return whole, part


def _each(count_to_value: dict[int, float], scale: float, digits: int) -> str:
    return " / ".join(f"{value * scale:,.{digits}f}" for value in count_to_value.values())


def measure() -> Iterator[Row]:
    """All rows."""
    names = " / ".join(f"{count:,}" for count in COUNTS)
    for mode in MODES:
        full: dict[int, float] = {}
        change: dict[int, float] = {}
        adding: dict[int, float] = {}
        passed: dict[int, float] = {}
        cost: dict[int, float] = {}
        for count in COUNTS:
            measured = Measured(mode, count)
            full[count], change[count] = measured.full, measured.change()
            passed[count], cost[count] = measured.lookup()
            adding[count] = measured.addition()
            del measured
            gc.collect()
        yield Row(f"{mode}, {names} Services x 3: full sync, s", _each(full, 1, 2))
        yield Row("  one endpoint's change in the kernel, ms", _each(change, 1e3, 2))
        grown = change[COUNTS[-1]] / change[COUNTS[0]]
        yield Row("  the largest over the smallest", f"{grown:.2f}", "1.5 at most")
        yield Row("  one Service more, ms", _each(adding, 1e3, 1))
        yield Row("  rules that a first packet passes", _each(passed, 1, 0))
        yield Row("  what it takes, µs", _each(cost, 1, 0), "flat")
    real = real_restore(COUNTS[-1])
    told = (
        "not measured: no iptables-legacy-restore in a namespace" if real is None else f"{real[0]:.2f} / {real[1]:.3f}"
    )
    yield Row(f"iptables-legacy-restore here, {COUNTS[-1]:,} x 3: everything / one endpoint's change, s", told)
