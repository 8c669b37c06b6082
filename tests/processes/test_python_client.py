"""The official Python client: create, watch, patch, exec, port-forward, delete a collection."""

import gc
import select
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client, config, watch
from kubernetes.client.rest import ApiException
from kubernetes.stream import portforward, stream
from live_cluster import LiveCluster, until

pytestmark = [
    # The client leaves connections of its pool open, and uses what urllib3 has deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.timeout(120),
]

NAMESPACE = "python-client"
LABELS = {"app": "py"}


@pytest.fixture(scope="module")
def core(cluster: LiveCluster) -> Iterator[Any]:
    """CoreV1Api in a namespace of its own, with a pod of nginx and one of busybox that run."""
    config.load_kube_config(str(cluster.folder.kubeconfig))
    api = client.CoreV1Api()
    api.create_namespace({"metadata": {"name": NAMESPACE}})
    for name, image, command in (("web", "nginx", None), ("box", "busybox", ["sleep", "infinity"])):
        container = {"name": "main", "image": image, **({"command": command} if command else {})}
        spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
        api.create_namespaced_pod(NAMESPACE, {"metadata": {"name": name, "labels": LABELS}, "spec": spec})
    until(lambda: ready(api), 20)
    yield api
    api.api_client.rest_client.pool_manager.clear()
    gc.collect()  # what the client left open is told here, not in another file's tests


def ready(api: Any) -> str:
    pods = api.list_namespaced_pod(NAMESPACE, label_selector="app=py").items
    return ", ".join(pod.metadata.name for pod in pods if not (pod.status.container_statuses or [NOT_READY])[0].ready)


class NOT_READY:
    ready = False


def test_create_watch_and_patch(core: Any) -> None:
    start = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version
    core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "seen"}, "data": {"a": "1"}})
    core.patch_namespaced_config_map("seen", NAMESPACE, {"data": {"a": "2"}})
    core.delete_namespaced_config_map("seen", NAMESPACE)
    watching = watch.Watch()
    seen = []
    for event in watching.stream(
        core.list_namespaced_config_map, NAMESPACE, resource_version=start, timeout_seconds=10
    ):
        if event["object"].metadata.name == "seen":
            seen.append((event["type"], (event["object"].data or {}).get("a")))
        if len(seen) == 3:
            watching.stop()
    assert seen == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]


def test_errors_carry_the_status(core: Any) -> None:
    with pytest.raises(ApiException) as refused:
        core.read_namespaced_pod("nobody", NAMESPACE)
    assert (refused.value.status, '"reason":"NotFound"' in refused.value.body) == (404, True)


def test_exec_returns_output_and_exit_code(core: Any) -> None:
    command = ["sh", "-c", "read line; echo got $line; echo bad >&2; exit 4"]
    talk = stream(
        core.connect_get_namespaced_pod_exec, "box", NAMESPACE, command=command,
        stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False,
    )  # fmt: skip
    talk.write_stdin("hello\n")
    talk.run_forever(timeout=20)
    assert (talk.read_stdout(), talk.read_stderr(), talk.returncode) == ("got hello\n", "bad\n", 4)


def test_exec_as_one_call(core: Any) -> None:
    told = stream(
        core.connect_get_namespaced_pod_exec, "box", NAMESPACE, command=["hostname"],
        stdin=False, stdout=True, stderr=True, tty=False,
    )  # fmt: skip
    assert told == "box\n"


def test_port_forward(core: Any) -> None:
    forwarded = portforward(core.connect_get_namespaced_pod_portforward, "web", NAMESPACE, ports="80")
    connection: socket.socket = forwarded.socket(80)
    connection.setblocking(True)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")
    answer = b""
    while select.select([connection], [], [], 10)[0] and (part := connection.recv(65536)):
        answer += part
    connection.close()
    assert answer.startswith(b"HTTP/1.1 200 OK") and b"Welcome to nginx!" in answer
    assert forwarded.error(80) is None


def test_delete_a_collection(core: Any) -> None:
    for number in range(5):
        core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": f"many-{number}", "labels": {"many": "1"}}})
    core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="many=1")
    assert core.list_namespaced_config_map(NAMESPACE, label_selector="many=1").items == []


def test_logs(core: Any) -> None:
    body = {"metadata": {"name": "said"}, "spec": {"restartPolicy": "Never"}}
    body["spec"] |= {"containers": [{"name": "a", "image": "busybox", "command": ["echo", "hello"]}]}  # type: ignore[operator]  # a JSON body
    core.create_namespaced_pod(NAMESPACE, body)
    until(lambda: "" if core.read_namespaced_pod("said", NAMESPACE).status.phase == "Succeeded" else "not over", 15)
    assert core.read_namespaced_pod_log("said", NAMESPACE) == "hello\n"
