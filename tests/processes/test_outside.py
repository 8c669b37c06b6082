"""From this machine into a cluster of real processes: ports of the loopback, real DNS clients, the SOCKS5 proxy."""

import http.client
import json
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import dns.message
import dns.query
import dns.rdatatype
import dns.resolver
import pytest
from live_cluster import LiveCluster, podwire, until

from podwire.proto.kube import resources

LOOPBACK = "127.0.0.1"
OWN = ("default", "kube-system")
"""Other tests have Services of their own."""


@pytest.fixture(scope="module")
def exposed(cluster: LiveCluster) -> Iterator[LiveCluster]:
    """my-api behind a load balancer, CoreDNS behind node ports; as before at the end."""
    _patch(cluster, "default", "my-api", {"spec": {"type": "LoadBalancer"}})
    _patch(cluster, "kube-system", "kube-dns", {"spec": {"type": "NodePort"}})
    until(lambda: "" if len(doors(cluster)) == 5 else f"doors: {doors(cluster)}", 20)
    yield cluster
    _patch(cluster, "default", "my-api", {"spec": {"type": "ClusterIP"}})
    _patch(cluster, "kube-system", "kube-dns", {"spec": {"type": "ClusterIP"}})
    until(lambda: "" if not doors(cluster) else f"doors: {doors(cluster)}", 20)


def _patch(cluster: LiveCluster, namespace: str, name: str, body: dict[str, Any]) -> None:
    cluster.run(lambda client: client.api.patch(resources.SERVICES, namespace, name, body))


def doors(cluster: LiveCluster) -> dict[str, int]:
    """Real ports by `SERVICE:PORT ADDRESS`, as `podwire status -o json` tells them."""
    rows = json.loads(podwire("status", "-o", "json", "--data-dir", cluster.data_dir).stdout)["doors"]
    rows = [row for row in rows if row["name"] in ("my-api", "kube-dns") and row["namespace"] in OWN]
    return {f"{row['name']}:{row['port_name']} {row['address'] or 'node'}": row["door"] for row in rows}


def fetch(port: int) -> str:
    """What keeps a port from answering ("": nothing)."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
    try:
        connection.request("GET", "/")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{port}: {error}"
    finally:
        connection.close()
    return "" if status == 200 else f"{port}: {status}"


def test_a_load_balancer_and_a_node_port_answer_on_the_loopback(exposed: LiveCluster) -> None:
    found = doors(exposed)
    until(lambda: fetch(found["my-api: node"]) or fetch(found["my-api: 172.18.200.1"]), 20)


QUESTIONS = (
    ("my-api.default.svc.cluster.local.", "A"),
    ("_dns._udp.kube-dns.kube-system.svc.cluster.local.", "SRV"),
    ("dns-version.cluster.local.", "TXT"),
    ("10.0.96.10.in-addr.arpa.", "PTR"),
    ("nothing.default.svc.cluster.local.", "A"),
    ("my-api.default.svc.cluster.local.", "AAAA"),
    ("www.example.com.", "A"),
)


def _summary(message: dns.message.Message) -> tuple[int, list[str]]:
    return int(message.rcode()), sorted(data.to_text() for rrset in message.answer for data in rrset)


@pytest.mark.parametrize(("name", "kind"), QUESTIONS, ids=lambda value: value)
def test_dnspython_gets_the_same_answers_over_udp_and_tcp(exposed: LiveCluster, name: str, kind: str) -> None:
    found = doors(exposed)
    question = dns.message.make_query(name, kind)
    over_udp = dns.query.udp(question, LOOPBACK, port=found["kube-dns:dns node"], timeout=10)
    over_tcp = dns.query.tcp(question, LOOPBACK, port=found["kube-dns:dns-tcp node"], timeout=10)
    assert _summary(over_udp) == _summary(over_tcp)
    if "nothing" not in name and kind != "AAAA":
        assert over_udp.answer


@pytest.mark.skipif(shutil.which("dig") is None, reason="needs dig")
@pytest.mark.parametrize("transport", ["dns", "dns-tcp"])
@pytest.mark.parametrize(("name", "kind"), QUESTIONS, ids=lambda value: value)
def test_dig_gets_the_same_answers(exposed: LiveCluster, name: str, kind: str, transport: str) -> None:
    found = doors(exposed)
    port = str(found[f"kube-dns:{transport} node"])
    command = ["dig", "+short", *(["+tcp"] if transport == "dns-tcp" else []), f"@{LOOPBACK}", "-p", port, name, kind]
    said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.split("\n")
    question = dns.message.make_query(name, kind)
    answer = dns.query.udp(question, LOOPBACK, port=found["kube-dns:dns node"], timeout=10)
    assert (0, sorted(line for line in said if line)) == (0, _summary(answer)[1])


def test_the_proxy_knows_the_clusters_names(exposed: LiveCluster) -> None:
    with _proxy(exposed) as process:
        port = _port_of(process)
        assert b" 200 OK" in _through(port, "my-api", 80)
        assert _through(port, "nothing.default", 80) == b"\x05\x04\x00\x01" + bytes(6)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert "Traceback" not in errors


def _proxy(cluster: LiveCluster) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "podwire.scripts", "proxy", "--port", "0", "--data-dir", cluster.data_dir]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _port_of(process: "subprocess.Popen[str]") -> int:
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], 60)[0], "the proxy says nothing"
    return int(process.stdout.readline().partition("127.0.0.1:")[2].partition(",")[0])


def _through(port: int, name: str, target: int) -> bytes:
    """What a request through the proxy brings: the answer, or the proxy's refusal."""
    with socket.create_connection((LOOPBACK, port), timeout=30) as connection:
        connection.sendall(b"\x05\x01\x00\x05\x01\x00\x03" + bytes((len(name),)) + name.encode() + target.to_bytes(2))
        greeting, reply = connection.recv(2), connection.recv(10)
        assert greeting == b"\x05\x00"
        if reply[1]:
            return reply
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        data, deadline = b"", time.monotonic() + 20
        while time.monotonic() < deadline and (more := connection.recv(65536)):
            data += more
        return data


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("proxy", "--port", "99999"), "--port 99999: a port from 0 to 65535 is needed"),
        (("proxy", "--port", "0", "--via", "nowhere"), "--via nowhere"),
        (("up", "--upstream-dns", "nonsense"), "--upstream-dns nonsense: host, or an IPv4 address"),
    ],
)
def test_what_is_refused(exposed: LiveCluster, arguments: tuple[str, ...], message: str) -> None:
    done = podwire(*arguments, "--data-dir", exposed.data_dir)
    assert done.returncode != 0
    assert message in done.stderr and "Traceback" not in done.stderr
