"""Init containers and sidecars (KEP-753): what starts when, what starts again, what ends last."""

from typing import Any

import pytest

from podwire.services.kubelet.core import actions as act
from podwire.services.kubelet.core.backoff import Backoff
from podwire.services.kubelet.core.decide import Situation, decide
from podwire.services.kubelet.core.held import RuntimePod

from .test_decide import NOW, a_container, a_pod, a_sandbox

INITS = {
    "initContainers": [
        {"name": "first", "image": "nginx"},
        {"name": "side", "image": "nginx", "restartPolicy": "Always"},
        {"name": "last", "image": "nginx"},
        {"name": "proxy", "image": "nginx", "restartPolicy": "Always"},
    ]
}


def held(**states: str) -> RuntimePod:
    """Containers by name: R runs, 0 or 1 ended with that code."""
    made = [
        a_container("RUNNING" if state == "R" else "EXITED", code=0 if state == "R" else int(state), name=name)
        for name, state in states.items()
    ]
    return RuntimePod((a_sandbox(),), tuple(made))


START = {name: act.StartContainer(name, 0) for name in ("first", "side", "last", "proxy", "main")}
AGAIN = {name: act.StartContainer(name, 1) for name in START}
BOTH = {"side": True, "proxy": True}


@pytest.mark.parametrize(
    ("states", "started", "expected"),
    [
        ({}, {}, [START["first"]]),
        ({"first": "R"}, {}, []),
        ({"first": "1"}, {}, [AGAIN["first"]]),
        ({"first": "0"}, {}, [START["side"]]),
        ({"first": "0", "side": "R"}, {}, []),
        ({"first": "0", "side": "R"}, {"side": True}, [START["last"]]),
        ({"first": "0", "side": "0"}, {}, [AGAIN["side"]]),
        ({"first": "0", "side": "1", "last": "R"}, {}, [AGAIN["side"]]),
        ({"first": "0", "side": "R", "last": "0"}, {"side": True}, [START["proxy"]]),
        ({"first": "0", "side": "R", "last": "0", "proxy": "R"}, {"side": True}, []),
        ({"first": "0", "side": "R", "last": "0", "proxy": "R"}, BOTH, [START["main"]]),
        ({"first": "0", "side": "0", "last": "0", "proxy": "R", "main": "R"}, BOTH, [AGAIN["side"]]),
        ({"first": "0", "side": "R", "last": "0", "proxy": "R", "main": "R"}, BOTH, []),
    ],
)
def test_what_is_started(states: dict[str, str], started: dict[str, bool], expected: list[act.Action]) -> None:
    assert decide(a_pod(**INITS), held(**states), Backoff(), Situation(NOW, started=started)) == expected


def stops(actions: list[act.Action]) -> list[str]:
    return [action.name for action in actions if isinstance(action, act.StopContainer)]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({"side": "R", "proxy": "R", "main": "R"}, ["main"]),
        ({"side": "R", "proxy": "R", "main": "0"}, ["proxy"]),
        ({"side": "R", "proxy": "0", "main": "0"}, ["side"]),
    ],
)
@pytest.mark.parametrize("why", ["deleted", "finished"])
def test_sidecars_end_last_and_in_reverse(states: dict[str, str], expected: list[str], why: str) -> None:
    pod = a_pod(**INITS, restartPolicy="Never")
    situation = Situation(NOW, started=BOTH, terminating=why == "deleted")
    actions = decide(pod, held(first="0", last="0", **states), Backoff(), situation)
    assert stops(actions) == (expected if why == "deleted" or states["main"] == "0" else [])


def test_a_failed_init_container_ends_a_pod_that_must_not_restart() -> None:
    pod = a_pod(**INITS, restartPolicy="Never")
    assert decide(pod, held(first="1"), Backoff(), Situation(NOW)) == [act.StopSandbox("s0")]


def test_a_new_image_restarts_a_container() -> None:
    pod = a_pod(containers=[{"name": "main", "image": "nginx:2"}])
    text = "Container main definition changed, will be restarted"
    assert decide(pod, held(main="R"), Backoff(), Situation(NOW)) == [act.StopContainer("main0", "main", 30, text)]


def test_debug_containers_start_once_and_before_the_pod_is_initialized() -> None:
    spec: dict[str, Any] = {**INITS, "ephemeralContainers": [{"name": "debug", "image": "nginx"}]}
    started = act.StartContainer("debug", 0)
    assert decide(a_pod(**spec), held(first="R"), Backoff(), Situation(NOW)) == [started]
    assert decide(a_pod(**spec), held(first="R", debug="1"), Backoff(), Situation(NOW)) == []
