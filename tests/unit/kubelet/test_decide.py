"""What the kubelet does for a pod: state in, actions out; the same state again gives the same actions."""

import pytest

from podwire.proto.kube.pod import Pod
from podwire.proto.messages import codec
from podwire.proto.messages.runtime import Container, ContainerConfig, Sandbox, SandboxConfig
from podwire.services.chassis.clock import SECOND
from podwire.services.kubelet.core import actions as act
from podwire.services.kubelet.core.backoff import Backoff
from podwire.services.kubelet.core.decide import Situation, decide
from podwire.services.kubelet.core.held import RuntimePod
from podwire.services.kubelet.core.probes import Unhealthy

NOW = 1000 * SECOND


def a_pod(**spec: object) -> Pod:
    value = {
        "metadata": {"name": "web", "namespace": "default", "uid": "u"},
        "spec": {"containers": [{"name": "main", "image": "nginx"}], **spec},
    }
    return codec.decode(Pod, codec.encode(value))


def a_sandbox(state: str = "READY", attempt: int = 0) -> Sandbox:
    config = SandboxConfig(uid="u", namespace="default", name="web", attempt=attempt)
    return Sandbox(id=f"s{attempt}", config=config, state=state, created_at=1, address="10.244.1.2")  # type: ignore[arg-type]


def a_container(state: str, attempt: int = 0, code: int = 0, name: str = "main", sandbox: str = "s0") -> Container:
    return Container(
        id=f"{name}{attempt}",
        sandbox=sandbox,
        config=ContainerConfig(name=name, image="nginx", attempt=attempt),
        state=state,  # type: ignore[arg-type]
        created_at=attempt,
        started_at=NOW - 20 * SECOND,
        finished_at=NOW - SECOND if state == "EXITED" else 0,
        exit_code=code,
    )


INIT = {"initContainers": [{"name": "init", "image": "busybox"}]}

CASES = [
    ("a new pod", {}, RuntimePod(), [act.RunSandbox(0)]),
    ("its sandbox is ready", {}, RuntimePod((a_sandbox(),)), [act.StartContainer("main", 0)]),
    ("it runs", {}, RuntimePod((a_sandbox(),), (a_container("RUNNING"),)), []),
    ("its machine lost the sandbox", {}, RuntimePod((a_sandbox("NOTREADY"),)), [act.RunSandbox(1)]),
    ("its container exited", {}, RuntimePod((a_sandbox(),), (a_container("EXITED"),)), [act.StartContainer("main", 1)]),
    (
        "creation was interrupted",
        {},
        RuntimePod((a_sandbox(),), (a_container("CREATED"),)),
        [act.RemoveContainer("main0"), act.StartContainer("main", 0)],
    ),
    (
        "a job that succeeded is over",
        {"restartPolicy": "OnFailure"},
        RuntimePod((a_sandbox(),), (a_container("EXITED"),)),
        [act.StopSandbox("s0")],
    ),
    (
        "a job that failed is tried again",
        {"restartPolicy": "OnFailure"},
        RuntimePod((a_sandbox(),), (a_container("EXITED", code=1),)),
        [act.StartContainer("main", 1)],
    ),
    (
        "a job that must not restart is over",
        {"restartPolicy": "Never"},
        RuntimePod((a_sandbox(),), (a_container("EXITED", code=1),)),
        [act.StopSandbox("s0")],
    ),
    ("init containers come first", INIT, RuntimePod((a_sandbox(),)), [act.StartContainer("init", 0)]),
    (
        "while they run nothing else does",
        INIT,
        RuntimePod((a_sandbox(),), (a_container("RUNNING", name="init"),)),
        [],
    ),
    (
        "after them the others",
        INIT,
        RuntimePod((a_sandbox(),), (a_container("EXITED", name="init"),)),
        [act.StartContainer("main", 0)],
    ),
]


@pytest.mark.parametrize(("name", "spec", "held", "expected"), CASES, ids=[case[0] for case in CASES])
def test_actions(name: str, spec: dict[str, object], held: RuntimePod, expected: list[act.Action]) -> None:
    pod = a_pod(**spec)
    assert decide(pod, held, Backoff(), Situation(NOW)) == expected
    assert decide(pod, held, Backoff(), Situation(NOW)) == expected


def test_after_a_power_loss_the_count_of_restarts_goes_on() -> None:
    status = {"containerStatuses": [{"name": "main", "restartCount": 2, "containerID": "podwire://x"}]}
    value = {"metadata": {"name": "web", "uid": "u"}, "spec": {"containers": [{"name": "main"}]}, "status": status}
    pod = codec.decode(Pod, codec.encode(value))
    assert decide(pod, RuntimePod((a_sandbox(),)), Backoff(), Situation(NOW)) == [act.StartContainer("main", 3)]


def test_old_attempts_are_collected_but_the_last_two() -> None:
    ended = [a_container("EXITED", attempt) for attempt in range(3)]
    held = RuntimePod((a_sandbox(),), (*ended, a_container("RUNNING", 3)))
    assert decide(a_pod(), held, Backoff(), Situation(NOW)) == [
        act.RemoveContainer("main0"),
        act.RemoveContainer("main1"),
    ]


def test_a_second_crash_waits() -> None:
    backoff = Backoff()
    backoff.next("u/main", NOW - 5 * SECOND)
    held = RuntimePod((a_sandbox(),), (a_container("EXITED", 1),))
    until = NOW + 9 * SECOND
    assert decide(a_pod(), held, backoff, Situation(NOW)) == [act.WaitUntil(until, "main")]
    assert decide(a_pod(), held, backoff, Situation(until)) == [act.StartContainer("main", 2)]


def test_backoff_doubles_up_to_five_minutes() -> None:
    backoff, delays = Backoff(), []
    for number in range(8):
        backoff.next("k", number)
        delays.append(backoff.delay("k") // SECOND)
    assert delays == [10, 20, 40, 80, 160, 300, 300, 300]


def test_an_unhealthy_container_is_stopped_not_started() -> None:
    held = RuntimePod((a_sandbox(),), (a_container("RUNNING"),))
    assert decide(a_pod(), held, Backoff(), Situation(NOW, unhealthy={"main": Unhealthy("liveness")})) == [
        act.StopContainer("main0", "main", 30, "Container main failed liveness probe, will be restarted")
    ]


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (
            RuntimePod((a_sandbox(),), (a_container("RUNNING"),)),
            [act.StopContainer("main0", "main", 30, "Stopping container main")],
        ),
        (RuntimePod((a_sandbox(),), (a_container("EXITED"),)), [act.StopSandbox("s0")]),
        (RuntimePod((a_sandbox("NOTREADY"),)), [act.FinishPod()]),
        (RuntimePod(), [act.FinishPod()]),
    ],
)
def test_termination_goes_step_by_step(held: RuntimePod, expected: list[act.Action]) -> None:
    assert decide(a_pod(), held, Backoff(), Situation(NOW, terminating=True)) == expected
