"""Containers as users expect them: order, restarts, volumes, tokens, probes and hooks, on virtual time."""

import asyncio
from collections.abc import Callable

import pytest

from podwire.proto.kube import resources
from podwire.scripts.cluster.readiness import is_ready

from .conftest import Booted
from .pods import Json, Pods, run, shell


def state_of(pod: Json, name: str) -> Json:
    kinds = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
    found = [entry for kind in kinds for entry in pod["status"].get(kind, []) if entry["name"] == name]
    state: Json = found[0]["state"] if found else {}
    return state


def restarts(pod: Json) -> int:
    return int(pod["status"].get("containerStatuses", [{}])[0].get("restartCount", 0))


def phase_is(phase: str) -> Callable[[Json], bool]:
    return lambda pod: bool(pod["status"].get("phase") == phase)


def condition(pod: Json, kind: str) -> Json:
    return next((entry for entry in pod["status"].get("conditions", []) if entry["type"] == kind), {})


def test_init_containers_run_in_order_and_sidecars_end_last(booted: Booted) -> None:
    work = {"volumeMounts": [{"name": "work", "mountPath": "/work"}]}
    probe = {"tcpSocket": {"port": 6379}, "periodSeconds": 1, "initialDelaySeconds": 3}
    inits = [
        shell("first", "echo first >> /work/order; sleep 2", **work),
        {"name": "side", "image": "redis", "restartPolicy": "Always", "startupProbe": probe},
        shell("second", "echo second >> /work/order", **work),
    ]
    main = {"name": "main", "image": "nginx", **work, "lifecycle": {"preStop": {"sleep": {"seconds": 3}}}}

    async def work_of(pods: Pods) -> None:
        await pods.create("web", main, initContainers=inits, volumes=[{"name": "work", "emptyDir": {}}])
        seen = await pods.until("web", lambda pod: "running" in state_of(pod, "first"), 10, "the first runs")
        assert seen["status"]["phase"] == "Pending"
        assert state_of(seen, "main") == {"waiting": {"reason": "PodInitializing"}}
        assert condition(seen, "Initialized")["message"] == "containers with incomplete status: [first side second]"
        seen = await pods.until("web", lambda pod: "running" in state_of(pod, "side"), 10, "the sidecar runs")
        assert condition(seen, "Initialized")["message"] == "containers with incomplete status: [side second]"
        assert "waiting" in state_of(seen, "second")
        seen = await pods.until("web", is_ready, 20, "the pod is Ready")
        assert state_of(seen, "second")["terminated"]["reason"] == "Completed"
        await pods.api.delete(resources.PODS, "default", "web")
        assert 3 <= await pods.until_gone("web", 30) < 6
        killed = await pods.events("web", "Killing")
        assert killed == ["Stopping container main", "Stopping container side"]

    run(booted, work_of)


def test_a_crash_backs_off_and_says_its_last_words(booted: Booted) -> None:
    async def work(pods: Pods) -> None:
        await pods.create("crash", shell("c", "echo bye > /dev/termination-log; exit 3"))
        seen = await pods.until("crash", lambda pod: restarts(pod) == 2, 30, "two restarts")
        ended = seen["status"]["containerStatuses"][0]["lastState"]["terminated"]
        assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "bye\n")
        seen = await pods.until("crash", lambda pod: "waiting" in state_of(pod, "c"), 30, "it waits")
        uid = seen["metadata"]["uid"]
        assert state_of(seen, "c")["waiting"] == {
            "reason": "CrashLoopBackOff",
            "message": f"back-off 20s restarting failed container=c pod=crash_default({uid})",
        }

    run(booted, work)


@pytest.mark.parametrize(
    ("policy", "script", "phase", "code"),
    [("Never", "exit 2", "Failed", 2), ("Never", "true", "Succeeded", 0), ("OnFailure", "true", "Succeeded", 0)],
)
def test_pods_that_end(booted: Booted, policy: str, script: str, phase: str, code: int) -> None:
    async def work(pods: Pods) -> None:
        await pods.create("job", shell("c", script), restartPolicy=policy)
        seen = await pods.until("job", phase_is(phase), 20, f"it is {phase}")
        assert state_of(seen, "c")["terminated"]["exitCode"] == code
        reason = {"Failed": "PodFailed", "Succeeded": "PodCompleted"}[phase]
        assert condition(seen, "Ready")["reason"] == reason

    run(booted, work)


def test_a_deadline_ends_a_pod(booted: Booted) -> None:
    async def work(pods: Pods) -> None:
        await pods.create("late", {"name": "c", "image": "nginx"}, activeDeadlineSeconds=5)
        seen = await pods.until("late", phase_is("Failed"), 20, "it failed")
        assert seen["status"]["reason"] == "DeadlineExceeded"

    run(booted, work)


def test_a_volume_waits_for_its_config_map_and_follows_it(booted: Booted) -> None:
    mounts = [
        {"name": "v", "mountPath": "/v"},
        {"name": "v", "mountPath": "/copy", "subPath": "key"},
    ]
    script = "while true; do echo $(cat /v/key) $(cat /copy); sleep 5; done"

    async def work(pods: Pods) -> None:
        volumes = [{"name": "v", "configMap": {"name": "conf"}}]
        await pods.create("reader", shell("c", script, volumeMounts=mounts), volumes=volumes)
        await asyncio.sleep(5)
        seen = await pods.get("reader")
        assert state_of(seen, "c") == {"waiting": {"reason": "ContainerCreating"}}
        assert await pods.events("reader", "FailedMount") == [
            'MountVolume.SetUp failed for volume "v" : configmap "conf" not found'
        ]
        await pods.api.create(resources.CONFIG_MAPS, "default", {"metadata": {"name": "conf"}, "data": {"key": "old"}})
        await pods.until("reader", is_ready, 10, "it runs")
        await pods.api.patch(resources.CONFIG_MAPS, "default", "conf", {"data": {"key": "new"}})
        await asyncio.sleep(70)
        lines = (await pods.log("reader", "c")).splitlines()
        assert (lines[0], lines[-1]) == ("old old", "new old")

    run(booted, work)


def test_a_missing_key_keeps_a_container_from_being_made(booted: Booted) -> None:
    async def work(pods: Pods) -> None:
        source = {"configMapKeyRef": {"name": "none", "key": "k"}}
        await pods.create("env", shell("c", "true", env=[{"name": "X", "valueFrom": source}]))
        seen = await pods.until("env", lambda pod: "message" in state_of(pod, "c").get("waiting", {}), 10, "it waits")
        assert state_of(seen, "c")["waiting"] == {
            "reason": "CreateContainerConfigError",
            "message": 'configmap "none" not found',
        }

    run(booted, work)


def test_a_pod_proves_who_it_is_with_its_token(booted: Booted) -> None:
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"

    async def review(pods: Pods, token: str) -> Json:
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        path = "/apis/authentication.k8s.io/v1/tokenreviews"
        status: Json = (await pods.api.call("POST", path, body))["status"]
        return status

    async def work(pods: Pods) -> None:
        await pods.create("who", shell("c", f"cat {folder}/token; echo; cat {folder}/namespace"), restartPolicy="Never")
        seen = await pods.until("who", phase_is("Succeeded"), 20, "it ended")
        token, namespace = (await pods.log("who", "c")).split()
        status = await review(pods, token)
        assert namespace == "default"
        assert status["user"]["username"] == "system:serviceaccount:default:default"
        assert status["user"]["extra"]["authentication.kubernetes.io/pod-uid"] == [seen["metadata"]["uid"]]
        await pods.api.delete(resources.PODS, "default", "who")
        await pods.until_gone("who", 40)
        assert await review(pods, token) == {"user": {}, "error": "service account token has been invalidated"}

    run(booted, work)


def test_a_failing_liveness_probe_restarts_a_container(booted: Booted) -> None:
    probe = {"httpGet": {"path": "/none", "port": 80}, "periodSeconds": 1, "failureThreshold": 2}

    async def work(pods: Pods) -> None:
        await pods.create("ill", {"name": "c", "image": "nginx", "livenessProbe": probe})
        await pods.until("ill", lambda pod: restarts(pod) == 1, 30, "it was restarted")
        assert (await pods.events("ill", "Killing"))[0] == "Container c failed liveness probe, will be restarted"
        assert await pods.events("ill", "Unhealthy") == [
            "Liveness probe failed: HTTP probe failed with statuscode: 404"
        ]

    run(booted, work)


def test_a_startup_probe_holds_the_others_back(booted: Booted) -> None:
    fails = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 2}
    starts = {"exec": {"command": ["sh", "-c", "sleep 1; true"]}, "initialDelaySeconds": 10, "timeoutSeconds": 3}

    async def work(pods: Pods) -> None:
        await pods.create("slow", {"name": "c", "image": "nginx", "livenessProbe": fails, "startupProbe": starts})
        await asyncio.sleep(9)
        assert restarts(await pods.get("slow")) == 0
        await pods.until("slow", lambda pod: restarts(pod) == 1, 20, "liveness counts once it has started")

    run(booted, work)


def test_a_failing_hook_kills_its_container(booted: Booted) -> None:
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "exit 4"]}}}

    async def work(pods: Pods) -> None:
        await pods.create("hook", {"name": "c", "image": "nginx", "lifecycle": hook})
        await pods.until("hook", lambda pod: restarts(pod) >= 1, 20, "it is tried again")
        [text] = await pods.events("hook", "FailedPostStartHook")
        assert text.startswith("PostStartHook failed: Exec lifecycle hook ([sh -c exit 4]) failed - error: command")

    run(booted, work)


@pytest.mark.parametrize(
    ("spec", "container", "code", "longest"),
    [
        ({}, {"image": "nginx"}, 0, 2),
        ({"terminationGracePeriodSeconds": 4}, {"image": "busybox", "command": ["sleep", "3600"]}, 137, 6),
        ({"shareProcessNamespace": True}, {"image": "busybox", "command": ["sleep", "3600"]}, 143, 2),
        ({}, shell("c", "trap 'exit 5' TERM; while true; do sleep 1; done"), 5, 3),
        ({}, shell("c", "trap 'exit 6' TERM; sleep 3600 & wait"), 6, 2),
        ({"terminationGracePeriodSeconds": 4}, shell("c", "trap 'exit 5' TERM; sleep 3600"), 137, 6),
        ({}, shell("c", "nginx -g 'daemon off;'", image="nginx"), 0, 2),
        ({}, shell("c", "exec nginx -g 'daemon off;'", image="nginx"), 0, 2),
    ],
)
def test_what_programs_make_of_sigterm(booted: Booted, spec: Json, container: Json, code: int, longest: float) -> None:
    async def work(pods: Pods) -> None:
        await pods.create("bye", {"name": "c", **container}, **spec)
        await pods.until("bye", is_ready, 20, "it runs")
        patch = {"metadata": {"finalizers": ["example.org/look"]}}
        await pods.api.patch(resources.PODS, "default", "bye", patch)
        await pods.api.delete(resources.PODS, "default", "bye")
        seen = await pods.until("bye", lambda pod: "terminated" in state_of(pod, "c"), longest, "it ended")
        assert state_of(seen, "c")["terminated"]["exitCode"] == code

    run(booted, work)


def test_a_readiness_gate_is_waited_for(booted: Booted) -> None:
    gate = "example.org/open"

    async def work(pods: Pods) -> None:
        await pods.create("gated", {"name": "c", "image": "nginx"}, readinessGates=[{"conditionType": gate}])
        seen = await pods.until(
            "gated",
            lambda pod: condition(pod, "ContainersReady").get("status") == "True",
            20,
            "its containers are ready",
        )
        text = f'corresponding condition of pod readiness gate "{gate}" does not exist.'
        assert (condition(seen, "Ready")["reason"], condition(seen, "Ready")["message"]) == (
            "ReadinessGatesNotReady",
            text,
        )
        opened = {"status": {"conditions": [{"type": gate, "status": "True"}]}}
        await pods.api.patch(
            resources.PODS, "default", "gated", opened, "status", "application/strategic-merge-patch+json"
        )
        await pods.until("gated", is_ready, 20, "it is Ready")

    run(booted, work)


def test_a_debug_container_joins_a_running_pod(booted: Booted) -> None:
    async def work(pods: Pods) -> None:
        await pods.create("app", {"name": "c", "image": "nginx"})
        await pods.until("app", is_ready, 20, "it runs")
        debugger = shell("debugger", "ps; wget -qO- http://127.0.0.1/ | head -n 1", targetContainerName="c")
        added = {"spec": {"ephemeralContainers": [debugger]}}
        form = "application/strategic-merge-patch+json"
        await pods.api.patch(resources.PODS, "default", "app", added, "ephemeralcontainers", form)
        await pods.until("app", lambda pod: "terminated" in state_of(pod, "debugger"), 20, "it has looked")
        said = await pods.log("app", "debugger")
        assert "nginx -g daemon off;" in said and "<!DOCTYPE html>" in said

    run(booted, work)


@pytest.mark.parametrize(
    ("container", "says"),
    [
        ({"image": "team/api:1"}, ["a generic server answers on its declared ports (8080/TCP)"]),
        (
            {"image": "team/api:1", "command": ["/api", "--port=9"]},
            ["a generic server answers on its declared ports (8080/TCP); command and args have no effect"],
        ),
        (
            {"image": "team/api:1", "command": ["sh", "-c", "sleep 100"]},
            ["sh runs with the programs of an Alpine image"],
        ),
        ({"image": "nginx"}, []),
    ],
)
def test_what_stands_for_an_unknown_image_is_said(booted: Booted, container: Json, says: list[str]) -> None:
    async def work(pods: Pods) -> None:
        await pods.create("some", {"name": "c", "ports": [{"containerPort": 8080}], **container})
        await pods.until("some", is_ready, 20, "it runs")
        found = await pods.events("some", "ImageNotBuilt")
        assert found == [f'podwire does not know the image "team/api:1": {text}' for text in says]

    run(booted, work)
