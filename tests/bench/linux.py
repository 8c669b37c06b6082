"""The same packets through the VXLAN of this machine's own kernel, between two network namespaces (iperf3; root)."""

import json
import shutil
import subprocess
from typing import Final

from tests.oracle.worlds import LinuxWorld, why_not

from podwire.proto.messages import kernel as m

SECONDS: Final = 2
_LAN, _VTEP = "02:00:00:00:05:{:02x}", "02:00:00:00:06:{:02x}"


def reason_against() -> str:
    """Why it cannot be measured here; "" if it can."""
    return why_not() or ("" if shutil.which("iperf3") else "no iperf3")


def _host(number: int, other: int) -> list[m.Operation]:
    netns = f"host{number}"
    return [
        m.LinkSet(netns=netns, name="eth0", up=True),
        m.AddressAdd(netns=netns, device="eth0", address=f"10.0.0.{number}/24"),
        m.LinkAdd(
            netns=netns,
            kind="vxlan",
            name="vx",
            address=_VTEP.format(number),
            vni=1,
            device="eth0",
            local=f"10.0.0.{number}",
            learning=False,
            up=True,
        ),
        m.AddressAdd(netns=netns, device="vx", address=f"10.244.0.{number}/24"),
        m.NeighbourReplace(netns=netns, device="vx", address=f"10.244.0.{other}", mac=_VTEP.format(other)),
        m.FdbReplace(netns=netns, device="vx", mac=_VTEP.format(other), remote=f"10.0.0.{other}"),
    ]


TOPOLOGY: Final[list[m.Operation]] = [
    m.NetnsAdd(netns="host1"),
    m.NetnsAdd(netns="host2"),
    m.LinkAdd(
        netns="host1",
        kind="veth",
        name="eth0",
        address=_LAN.format(1),
        peer="eth0",
        peer_netns="host2",
        peer_address=_LAN.format(2),
        up=True,
    ),
    *_host(1, 2),
    *_host(2, 1),
]


def rates(length: int) -> tuple[float, float]:
    """UDP packets/s of `length` bytes that arrive, and TCP's bytes/s."""
    world = LinuxWorld()
    try:
        world.build(TOPOLOGY, [])
        datagrams = _iperf(world, "-u", "-b", "0", "-l", str(length))["end"]["sum"]
        stream = _iperf(world)["end"]["sum_received"]
        arrived = datagrams["packets"] * (1 - datagrams["lost_percent"] / 100)
        return arrived / datagrams["seconds"], stream["bits_per_second"] / 8
    finally:
        world.close()


def _iperf(world: LinuxWorld, *options: str) -> dict[str, dict[str, dict[str, float]]]:
    server = subprocess.Popen(world.argv("host2", ["iperf3", "-s", "-1", "--forceflush"]), stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        while b"listening" not in server.stdout.readline():
            assert server.poll() is None, "iperf3 -s ended"
        said = world.run("host1", ["iperf3", "-J", "-c", "10.244.0.2", "-t", str(SECONDS), *options])
        found: dict[str, dict[str, dict[str, float]]] = json.loads(said)
        return found
    finally:
        server.kill()
        server.wait()
