"""What the kubelet reports of a pod, and what probes make of it."""

from typing import Any

import pytest

from podwire.proto.kube.container import Container as ContainerSpec
from podwire.proto.kube.container import Probe
from podwire.proto.kube.pod import Pod
from podwire.proto.kube.times import rfc3339
from podwire.proto.messages import codec
from podwire.services.chassis.clock import SECOND
from podwire.services.kubelet.core.container_status import Observed, Waiting
from podwire.services.kubelet.core.held import RuntimePod
from podwire.services.kubelet.core.probes import Health, ProbeState, Unhealthy, health, named_port
from podwire.services.kubelet.core.status import pod_status, status_patch

from .test_decide import INIT, NOW, a_container, a_pod, a_sandbox

READY = {"main": Health(True, True)}
RUNNING = RuntimePod((a_sandbox(),), (a_container("RUNNING"),))


def observed(held: RuntimePod, **rest: Any) -> Observed:
    return Observed(held=held, host_addresses=("172.18.0.3",), start_time=NOW, **rest)


@pytest.mark.parametrize(
    ("spec", "held", "rest", "phase", "ready", "reason"),
    [
        ({}, RuntimePod(), {}, "Pending", "False", "ContainerCreating"),
        ({}, RUNNING, {"health": READY}, "Running", "True", ""),
        ({}, RUNNING, {"health": {"main": Health(True, False)}}, "Running", "False", ""),
        (INIT, RuntimePod((a_sandbox(),)), {}, "Pending", "False", "PodInitializing"),
        (
            {"restartPolicy": "Never"},
            RuntimePod((a_sandbox(),), (a_container("EXITED"),)),
            {},
            "Succeeded",
            "False",
            "Completed",
        ),
        (
            {"restartPolicy": "Never"},
            RuntimePod((a_sandbox(),), (a_container("EXITED", code=3),)),
            {},
            "Failed",
            "False",
            "Error",
        ),
        (
            {},
            RuntimePod((a_sandbox(),), (a_container("EXITED", code=1),)),
            {"waiting": {"main": Waiting("CrashLoopBackOff", "back-off")}},
            "Running",
            "False",
            "CrashLoopBackOff",
        ),
    ],
)
def test_phase_and_conditions(
    spec: dict[str, Any], held: RuntimePod, rest: dict[str, Any], phase: str, ready: str, reason: str
) -> None:
    status = pod_status(a_pod(**spec), observed(held, **rest), NOW)
    conditions = {entry["type"]: entry["status"] for entry in status["conditions"]}
    [container] = status["containerStatuses"]
    state = next(iter(container["state"].values()))
    assert (status["phase"], conditions["Ready"], state.get("reason", "")) == (phase, ready, reason)


def test_addresses_and_restarts() -> None:
    held = RuntimePod((a_sandbox(),), (a_container("EXITED", 0, 137), a_container("RUNNING", 1)))
    status = pod_status(a_pod(), observed(held, health=READY), NOW)
    [container] = status["containerStatuses"]
    assert (status["podIP"], status["hostIP"], container["restartCount"]) == ("10.244.1.2", "172.18.0.3", 1)
    assert container["lastState"]["terminated"]["exitCode"] == 137


def test_a_condition_that_did_not_change_keeps_its_time() -> None:
    before = {"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}
    value = {
        "metadata": {"name": "web", "uid": "u"},
        "spec": {"containers": [{"name": "main"}]},
        "status": {"conditions": [before]},
    }
    pod = codec.decode(Pod, codec.encode(value))

    def time_of(health: Health) -> str:
        status = pod_status(pod, observed(RUNNING, health={"main": health}), NOW)
        return str(next(c["lastTransitionTime"] for c in status["conditions"] if c["type"] == "Ready"))

    assert time_of(Health(True, True)) == "2020-01-01T00:00:00Z"
    assert time_of(Health(True, False)) == rfc3339(NOW)


def a_state(results: list[bool], failures: int = 3, successes: int = 1) -> ProbeState:
    state = ProbeState("readiness", Probe(failure_threshold=failures, success_threshold=successes), 0)
    for result in results:
        state.record(result, "")
    return state


@pytest.mark.parametrize(
    ("results", "failures", "successes", "passing"),
    [
        ([], 3, 1, None),
        ([True], 3, 1, True),
        ([True, False, False], 3, 1, True),
        ([True, False, False, False], 3, 1, False),
        ([False], 1, 1, False),
        ([False, True], 3, 2, None),
        ([False, True, True], 3, 2, True),
        ([False, False, True, False, False], 3, 1, True),
    ],
)
def test_thresholds(results: list[bool], failures: int, successes: int, passing: bool | None) -> None:
    assert a_state(results, failures, successes).passing is passing


def test_a_probe_waits_for_its_initial_delay() -> None:
    assert ProbeState("liveness", Probe(initial_delay_seconds=5), 2 * SECOND).first_due() == 7 * SECOND


PROBED = ContainerSpec(name="main", readiness_probe=Probe(), liveness_probe=Probe(), startup_probe=Probe())


@pytest.mark.parametrize(
    ("startup", "readiness", "liveness", "expected"),
    [
        (None, None, None, (False, False, None)),
        (True, None, None, (True, False, None)),
        (True, True, None, (True, True, None)),
        (None, True, None, (False, False, None)),
        (True, True, False, (True, True, Unhealthy("liveness"))),
        (False, None, None, (False, False, Unhealthy("startup"))),
    ],
)
def test_what_probes_say_together(
    startup: bool | None, readiness: bool | None, liveness: bool | None, expected: tuple[bool, bool, Unhealthy | None]
) -> None:
    states = {
        kind: ProbeState(kind, Probe(), 0, passing)
        for kind, passing in (("startup", startup), ("readiness", readiness), ("liveness", liveness))
    }
    found = health(PROBED, states, True)  # type: ignore[arg-type]  # the keys are the three kinds
    assert (found.started, found.ready, found.unhealthy) == expected
    assert health(PROBED, states, False) == Health(False, False)  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize(("port", "number"), [(8080, 8080), ("http", 80), ("9090", 9090), ("none", None)])
def test_a_probe_s_port(port: int | str, number: int | None) -> None:
    spec = codec.decode(ContainerSpec, codec.encode({"name": "m", "ports": [{"name": "http", "containerPort": 80}]}))
    assert named_port(spec, port) == number


def test_an_address_that_the_pod_no_longer_has_goes_from_the_merged_list() -> None:
    status = {"phase": "Running", "podIPs": [{"ip": "10.244.2.3"}]}
    patch = status_patch(status, ["10.244.2.8", "10.244.2.3"])
    assert patch["podIPs"] == [{"ip": "10.244.2.3"}, {"$patch": "delete", "ip": "10.244.2.8"}]
