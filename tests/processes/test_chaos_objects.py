"""Chaos objects with the real kubectl on real processes; the fields are those that Chaos Mesh's documentation uses."""

import json
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import pytest
from kubectl import Kubectl, binaries, in_namespace
from live_cluster import LiveCluster, podwire, until

BINARIES = binaries()
pytestmark = [
    pytest.mark.kubectl,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not BINARIES, reason="no kubectl on this machine"),
]
PODS = """
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {app: client}}
spec:
  nodeName: node-1
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: nicolaka/netshoot, command: [sleep, infinity]}]
---
apiVersion: v1
kind: Pod
metadata: {name: server, labels: {app: server}}
spec: {nodeName: node-2, terminationGracePeriodSeconds: 0, containers: [{name: main, image: nginx}]}
"""
PARTITION = """
apiVersion: chaos-mesh.org/v1alpha1
kind: NetworkChaos
metadata: {name: partition}
spec:
  action: partition
  mode: all
  selector: {labelSelectors: {app: client}}
  direction: to
  target: {mode: one, selector: {labelSelectors: {app: server}}}
"""
DELAY = """
apiVersion: chaos-mesh.org/v1alpha1
kind: NetworkChaos
metadata: {name: delay}
spec:
  action: delay
  mode: one
  selector: {labelSelectors: {app: client}}
  delay: {latency: 300ms, correlation: "100", jitter: 0ms}
"""
LATE = """
apiVersion: chaos-mesh.org/v1alpha1
kind: TimeChaos
metadata: {name: time-shift-example}
spec:
  mode: one
  selector: {labelSelectors: {app: server}}
  timeOffset: '-10m100ns'
"""
OTHERS = """
apiVersion: chaos-mesh.org/v1alpha1
kind: NetworkChaos
metadata: {name: netem, annotations: {experiment.chaos-mesh.org/pause: "true"}}
spec:
  action: netem
  mode: fixed-percent
  value: "50"
  selector:
    expressionSelectors: [{key: app, operator: In, values: [server]}]
    podPhaseSelectors: [Running]
  delay: {latency: 90ms, correlation: "25", jitter: 90ms, reorder: {reorder: "0.5", correlation: "50", gap: 5}}
  loss: {loss: "25", correlation: "25"}
  duplicate: {duplicate: "40", correlation: "25"}
  corrupt: {corrupt: "40", correlation: "25"}
  direction: to
  externalTargets: [8.8.8.8, 8.8.0.0/16]
  duration: 10s
---
apiVersion: chaos-mesh.org/v1alpha1
kind: NetworkChaos
metadata: {name: bandwidth, annotations: {experiment.chaos-mesh.org/pause: "true"}}
spec:
  action: bandwidth
  mode: one
  selector: {labelSelectors: {app: server}}
  bandwidth: {rate: 100kbps, limit: 20971520, buffer: 10000, peakrate: 1000000, minburst: 1000000}
---
apiVersion: chaos-mesh.org/v1alpha1
kind: PodChaos
metadata: {name: failure, annotations: {experiment.chaos-mesh.org/pause: "true"}}
spec: {action: pod-failure, mode: one, duration: 30s, selector: {labelSelectors: {app: server}}}
---
apiVersion: chaos-mesh.org/v1alpha1
kind: Schedule
metadata: {name: kills, annotations: {experiment.chaos-mesh.org/pause: "true"}}
spec:
  schedule: "@every 60s"
  type: PodChaos
  historyLimit: 5
  concurrencyPolicy: Forbid
  podChaos: {action: pod-kill, mode: one, selector: {namespaces: [default], labelSelectors: {app: nobody}}}
"""


@pytest.fixture(scope="module")
def kubectl(cluster: LiveCluster) -> Iterator[Kubectl]:
    version, binary = list(BINARIES.items())[-1]
    made = in_namespace(binary, version, cluster.folder.kubeconfig, "chaos")
    made("apply", "-f", "-", stdin=PODS)
    made("wait", "--for=condition=Ready", "--timeout=30s", "pod/client", "pod/server")
    yield made
    made("delete", "networkchaos,podchaos,timechaos,schedule", "--all", "--timeout=30s")


def curl(kubectl: Kubectl) -> tuple[int, float]:
    """The exit code of a request from the client to the server, and how long it took."""
    address = kubectl("get", "pod", "server", "-o", "jsonpath={.status.podIP}")
    command = ["curl", "-s", "-o", "/dev/null", "-m", "3", "-w", "%{time_total}", f"http://{address}"]
    done = kubectl.run("exec", "client", "--", *command)
    return done.returncode, float(done.stdout or 0)


def phase(kubectl: Kubectl, name: str, condition: str, kind: str = "networkchaos") -> str:
    """ "" once a condition of an experiment is True."""
    conditions = json.loads(kubectl("get", kind, name, "-o", "json")).get("status", {}).get("conditions", [])
    return "" if {"type": condition, "status": "True"} in conditions else f"{name}: {conditions}"


def test_a_partition_names_itself_in_the_trace_and_heals_when_it_goes(cluster: LiveCluster, kubectl: Kubectl) -> None:
    data = ("--data-dir", cluster.data_dir)
    assert curl(kubectl)[0] == 0
    kubectl("apply", "-f", "-", stdin=PARTITION)
    until(lambda: phase(kubectl, "partition", "AllInjected"), 10)
    assert curl(kubectl)[0] == 28
    told = podwire("trace", "client", "pod/server:80", "-n", kubectl.namespace, "--timeout", "2", *data).stdout
    assert f"made for NetworkChaos {kubectl.namespace}/partition" in told and "CHAOS-OUTPUT" in told
    assert "partition" in kubectl("get", "networkchaos", "partition")
    assert "Successfully apply chaos" in kubectl("describe", "networkchaos", "partition")
    kubectl("delete", "networkchaos", "partition", "--timeout=20s")
    assert curl(kubectl)[0] == 0


def test_tc_shows_a_delay(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=DELAY)
    until(lambda: phase(kubectl, "delay", "AllInjected"), 10)
    assert curl(kubectl)[1] >= 0.6
    shown = kubectl("exec", "client", "--", "tc", "qdisc", "show", "dev", "eth0")
    assert shown == "qdisc netem 1: root refcnt 2 limit 1000 delay 300ms\n"
    kubectl("delete", "networkchaos", "delay", "--timeout=20s")
    assert curl(kubectl)[1] < 0.3


def lateness(kubectl: Kubectl) -> int:
    """How many seconds the server's clock is behind."""
    address = kubectl("get", "pod", "server", "-o", "jsonpath={.status.podIP}")
    head = kubectl("exec", "client", "--", "curl", "-sI", f"http://{address}")
    date = next(line.partition(": ")[2] for line in head.splitlines() if line.startswith("Date: "))
    return int(kubectl("exec", "server", "--", "date", "+%s")) - round(parsedate_to_datetime(date).timestamp())


def test_a_server_has_a_wrong_clock(kubectl: Kubectl) -> None:
    assert -1 <= lateness(kubectl) <= 5
    kubectl("apply", "-f", "-", stdin=LATE)
    until(lambda: phase(kubectl, "time-shift-example", "AllInjected", "timechaos"), 10)
    assert 599 <= lateness(kubectl) <= 605
    kubectl("delete", "timechaos", "time-shift-example", "--timeout=20s")
    assert -1 <= lateness(kubectl) <= 5


def test_every_documented_field_is_taken(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=OTHERS)
    assert {row["NAME"]: row["ACTION"] for row in kubectl.rows("get", "networkchaos")} == {
        "netem": "netem",
        "bandwidth": "bandwidth",
    }
    assert "What happens to packets." in kubectl("explain", "networkchaos.spec.action")
    text = kubectl.refused("apply", "-f", "-", stdin=DELAY.replace("mode: one", "mode: some"))
    assert 'Unsupported value: "some": supported values: "one", "all", "fixed"' in text
    text = kubectl.refused("apply", "-f", "-", stdin=DELAY + "  remoteCluster: other\n")
    assert 'unknown field "spec.remoteCluster"' in text
