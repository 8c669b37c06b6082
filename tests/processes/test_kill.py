"""kill -9 of one process of each kind: the cluster is whole again within 10 s, and traffic flows."""

import signal

import pytest
from live_cluster import LiveCluster, PodState, until

from podwire.scripts.cluster.folder import RunningProcess

WITHIN = 10.0

KINDS = (
    ("apiserver", "kube-system/kube-apiserver-"),
    ("controllers", "kube-system/kube-controller-manager-"),
    ("scheduler", "kube-system/kube-scheduler-"),
    ("recorder", "kube-system/recorder-"),
    ("flannel@node-1", "kube-system/kube-flannel-"),
    ("kube-proxy@node-1", "kube-system/kube-proxy-"),
    ("coredns/0", "kube-system/coredns-"),
    ("kubelet@node-1", ""),
    ("nats", ""),
    ("node-2", "node-2"),
)
"""A chaos target, and the pod that shows its death as a restart (by prefix of its name; for a machine, all on it)."""


def restarted(before: dict[str, PodState], after: dict[str, PodState]) -> dict[str, int]:
    """By how much each pod's RESTARTS grew; a pod that is new or gone shows as -1."""
    names = dict.fromkeys([*before, *after])
    grown = {
        name: after[name].restarts - before[name].restarts if name in before and name in after else -1 for name in names
    }
    return {name: count for name, count in grown.items() if count}


def expected(before: dict[str, PodState], process: RunningProcess, pod: str) -> dict[str, int]:
    """The restarts that the death of a process shows."""
    if process.component == "node":
        return {name: state.running for name, state in before.items() if state.node == process.node and state.running}
    names = [name for name, state in before.items() if pod and name.startswith(pod)]
    if process.node:
        names = [name for name in names if before[name].node == process.node]
    return dict.fromkeys(names, 1)


@pytest.mark.parametrize(("target", "pod"), KINDS, ids=[target for target, _ in KINDS])
def test_the_cluster_is_whole_again(cluster: LiveCluster, target: str, pod: str) -> None:
    until(cluster.missing, WITHIN)
    before = cluster.pods()
    victim = cluster.signal(target, signal.SIGKILL)
    wanted = expected(before, victim, pod)

    def missing() -> str:
        if what := cluster.without(victim) or cluster.missing():
            return what
        grown = restarted(before, cluster.pods())
        if victim.component == "coredns":
            return "" if list(grown.values()) == [1] and set(grown) <= set(wanted) else f"restarts: {grown}"
        return "" if grown == wanted else f"restarts: {grown}, wanted {wanted}"

    until(missing, WITHIN)
    until(lambda: cluster.serving("my-api", 2), WITHIN)
    for node in ("node-1", "node-2", "control-plane"):
        until(lambda node=node: cluster.connect(node), 5)  # type: ignore[misc]  # mypy cannot type a lambda's default
