"""podwire capture, inject and trace against real processes; tshark reads along."""

import json
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from live_cluster import LiveCluster, podwire
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from podwire.scripts.capture_files.reading import read_packets
from podwire.scripts.inject import Fields, inject_file, inject_packets

pytestmark = pytest.mark.slow

TSHARK = shutil.which("tshark")


def start(cluster: LiveCluster, *arguments: str) -> subprocess.Popen[bytes]:
    """A capture that runs from the moment this returns."""
    command = [sys.executable, "-m", "podwire.scripts", "capture", "--data-dir", cluster.data_dir, *arguments]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stderr is not None and b"capturing on" in running.stderr.readline()
    return running


def traced(cluster: LiveCluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    return podwire("trace", "--data-dir", cluster.data_dir, *arguments)


def test_a_capture_ends_at_an_interrupt_with_everything_in_it(cluster: LiveCluster, tmp_path: Path) -> None:
    file = tmp_path / "a.pcapng"
    running = start(cluster, "-w", str(file))
    assert traced(cluster, "node-1", "http://my-api").returncode == 0
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=20)
    assert running.returncode == 0 and b"frames of" in said
    assert any(b"HTTP/1.1 200" in packet.data for packet in read_packets(file.read_bytes()))


@pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")
def test_tshark_reads_along(cluster: LiveCluster) -> None:
    command = [str(TSHARK), "-r", "-", "-T", "fields", "-e", "tcp.dstport"]
    with (
        start(cluster, "-w", "-", "--port", "80", "-c", "10") as running,
        subprocess.Popen(command, stdin=running.stdout, stdout=subprocess.PIPE) as reader,
    ):
        assert traced(cluster, "node-1", "http://my-api").returncode == 0
        output, _ = reader.communicate(timeout=30)
        assert len(output.splitlines()) == 10
        assert running.wait(20) == 0


def test_a_reader_that_goes_ends_the_capture(cluster: LiveCluster) -> None:
    with start(cluster, "-w", "-") as running:
        assert running.stdout is not None and running.stderr is not None
        assert running.stdout.read(4) == b"\x0a\x0d\x0d\x0a"
        running.stdout.close()
        assert traced(cluster, "node-1", "http://my-api").returncode == 0
        assert running.wait(20) == 0
        assert b"Traceback" not in running.stderr.read()


def test_inject_from_a_node_and_from_outside(cluster: LiveCluster) -> None:
    fields = Fields(tcp_flags="S", count=3)
    inside = inject_packets("node-1", "my-api", fields, data_dir=cluster.data_dir)
    outside = inject_packets("external", "my-api", fields, via="node-2", data_dir=cluster.data_dir)
    for result in (*inside, *outside):
        assert (result.fate.kind, result.fate.is_answered) == ("delivered", True), result
        assert "default/my-api" in result.fate.place
    assert outside[0].fate.answers[0].place == "external host"


def test_inject_as_a_command(cluster: LiveCluster) -> None:
    done = podwire(
        "inject", "--data-dir", cluster.data_dir, "--from", "node-1", "--to", "172.18.0.4:9", "--protocol", "udp",
        "--count", "2", "--rate", "50", "-o", "json",
    )  # fmt: skip  # a command line
    assert done.returncode == 1, done.stderr
    packets = json.loads(done.stdout)["packets"]
    assert [(each["fate"], each["reason"], each["place"]) for each in packets] == [
        ("dropped", "NO_SOCKET", "node-2 host")
    ] * 2
    assert all("nothing listens on this port" in each["advice"] and each["hops"] for each in packets)


def test_what_was_captured_is_replayed(cluster: LiveCluster, tmp_path: Path) -> None:
    frames = [Ether(dst="02:42:ac:12:00:04", src="02:42:ac:12:00:03") / IP(src="172.18.0.3", dst="172.18.0.4") / each
              for each in (UDP(dport=9), TCP(dport=1))]  # fmt: skip  # a table
    file = tmp_path / "two.pcap"
    wrpcap(str(file), frames)
    found = inject_file("node-1", str(file), data_dir=cluster.data_dir)
    assert [(each.fate.kind, each.fate.reason, each.fate.place) for each in found] == [
        ("dropped", "NO_SOCKET", "node-2 host")
    ] * 2


def test_a_sequence_diagram(cluster: LiveCluster, tmp_path: Path) -> None:
    file = tmp_path / "a.svg"
    assert traced(cluster, "node-1", "http://my-api", "--svg", str(file)).returncode == 0
    assert "DNAT (nat)" in file.read_text()
    printed = traced(cluster, "node-1", "http://my-api", "-o", "svg")
    assert ElementTree.fromstring(printed.stdout).tag.endswith("svg")


def test_traces_from_outside_and_by_protocol(cluster: LiveCluster) -> None:
    done = traced(cluster, "external", "172.18.0.3")
    assert done.returncode == 0 and "echo reply from 172.18.0.3" in done.stdout
    done = traced(cluster, "node-1", "172.18.0.4:9", "--protocol", "sctp")
    assert done.returncode == 1 and "NO_SOCKET" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["inject", "--from", "node-1", "--to", "1.2.3.4:80", "--ttl", "256"], "--ttl 256: a number from 0 to 255"),
        (["inject", "--from", "node-1", "--to", "1.2.3.4:80", "--wait", "nan"], "--wait nan: a number of seconds"),
        (["inject", "--from", "external", "--to", "1.2.3.4:80", "--via", "x"], "--via x: no such node; nodes are"),
        (["inject", "--from", "nobody", "--to", "1.2.3.4:80"], "SOURCE nobody: neither a pod nor a node"),
        (["capture", "-w", "/dev/full", "--duration", "1"], "--write /dev/full: No space left on device"),
        (["capture", "-w", "/nothing/here"], "--write /nothing/here: No such file or directory"),
        (["capture", "-w", "x", "--node", "node-9"], "--node node-9: no such node; nodes are"),
        (["trace", "node-1", "1.2.3.4:80", "--protocol", "gre"], "--protocol gre: tcp, udp, sctp or icmp is needed"),
        (["trace", "node-1", "1.2.3.4", "--protocol", "udp"], "udp needs a port, as in 1.2.3.4:80"),
        (["trace", "node-1", "http://my-api", "--svg", "/nothing/x"], "--svg /nothing/x: No such file"),
        (["trace", "node-1", "my-api", "--timeout", "inf"], "--timeout inf: a number of seconds"),
    ],
    ids=lambda value: " ".join(value[:1] + value[-2:]) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_said_in_one_line(cluster: LiveCluster, arguments: list[str], says: str) -> None:
    done = podwire(arguments[0], "--data-dir", cluster.data_dir, *arguments[1:])
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert says in done.stderr and "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if not line.startswith("capturing on")]) == 1
