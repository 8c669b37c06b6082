"""A container's environment, volumes, mounts and resolver, from the pod and what it refers to."""

from typing import Any

import pytest

from podwire.proto.kube.meta import ConfigMap, Secret
from podwire.proto.kube.network import Service
from podwire.proto.kube.pod import Pod
from podwire.proto.messages import codec
from podwire.proto.messages.runtime import Mount
from podwire.services.kubelet.core.environment import (
    CannotConfigure,
    References,
    check_ports,
    environment,
    mounts,
    sandbox_config,
    service_variables,
    volume_files,
)

CONFIG = codec.decode(ConfigMap, codec.encode({"metadata": {"name": "c"}, "data": {"mode": "fast", "a.conf": "x=1"}}))
SECRET = codec.decode(Secret, codec.encode({"metadata": {"name": "s"}, "data": {"password": "cGFzcw=="}}))
SERVICE = codec.decode(
    Service,
    codec.encode({"metadata": {"name": "my-api"}, "spec": {"clusterIP": "10.96.0.9", "ports": [{"port": 80}]}}),
)
REFERENCES = References({"c": CONFIG}, {"s": SECRET})


def a_pod(container: dict[str, Any] | None = None, **spec: Any) -> Pod:
    metadata = {"name": "web", "namespace": "shop", "uid": "u", "labels": {"app": "web"}}
    value = {
        "metadata": metadata,
        "spec": {"containers": [{"name": "main", **(container or {})}], "nodeName": "node-1", **spec},
        "status": {"podIP": "10.244.1.5"},
    }
    return codec.decode(Pod, codec.encode(value))


def variables(*env: dict[str, Any], references: References = REFERENCES) -> dict[str, str]:
    pod = a_pod({"env": list(env)})
    found = environment(pod, pod.spec.containers[0], references, "172.18.0.3")
    del found["HOSTNAME"]
    return found


FIELD = "fieldRef"


@pytest.mark.parametrize(
    ("env", "value"),
    [
        ({"value": "plain"}, "plain"),
        ({"value": "$(HOSTNAME)/x"}, "web/x"),
        ({"value": "$$(HOSTNAME)"}, "$(HOSTNAME)"),
        ({"value": "$(UNKNOWN)"}, "$(UNKNOWN)"),
        ({"valueFrom": {FIELD: {"fieldPath": "metadata.name"}}}, "web"),
        ({"valueFrom": {FIELD: {"fieldPath": "status.podIP"}}}, "10.244.1.5"),
        ({"valueFrom": {FIELD: {"fieldPath": "status.hostIP"}}}, "172.18.0.3"),
        ({"valueFrom": {FIELD: {"fieldPath": "spec.nodeName"}}}, "node-1"),
        ({"valueFrom": {FIELD: {"fieldPath": "metadata.labels['app']"}}}, "web"),
        ({"valueFrom": {"configMapKeyRef": {"name": "c", "key": "mode"}}}, "fast"),
        ({"valueFrom": {"secretKeyRef": {"name": "s", "key": "password"}}}, "pass"),
    ],
)
def test_a_variable(env: dict[str, Any], value: str) -> None:
    assert variables({"name": "X", **env}) == {"X": value}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "none", "key": "a"}}, 'configmap "none" not found'),
        ({"configMapKeyRef": {"name": "c", "key": "a"}}, "couldn't find key a in ConfigMap c"),
        ({"secretKeyRef": {"name": "none", "key": "a"}}, 'secret "none" not found'),
        ({FIELD: {"fieldPath": "spec.nothing"}}, "fieldPath 'spec.nothing' is not supported"),
        ({"resourceFieldRef": {"resource": "limits.cpu"}}, "this valueFrom is not built"),
    ],
)
def test_a_variable_that_cannot_be_had(source: dict[str, Any], message: str) -> None:
    with pytest.raises(CannotConfigure, match=message):
        variables({"name": "X", "valueFrom": source})


def test_an_optional_reference_is_left_out() -> None:
    source = {"configMapKeyRef": {"name": "none", "key": "a", "optional": True}}
    assert variables({"name": "X", "valueFrom": source}) == {}


def test_services_become_variables() -> None:
    assert service_variables((SERVICE,)) == {"MY_API_SERVICE_HOST": "10.96.0.9", "MY_API_SERVICE_PORT": "80"}


@pytest.mark.parametrize(
    ("volume", "files"),
    [
        ({"configMap": {"name": "c"}}, {"mode": b"fast", "a.conf": b"x=1"}),
        ({"configMap": {"name": "c", "items": [{"key": "mode", "path": "m/mode"}]}}, {"m/mode": b"fast"}),
        ({"configMap": {"name": "none", "optional": True}}, {}),
        ({"secret": {"secretName": "s"}}, {"password": b"pass"}),
        ({"emptyDir": {}}, {}),
        ({"hostPath": {"path": "/run"}}, None),
    ],
)
def test_the_files_of_a_volume(volume: dict[str, Any], files: dict[str, bytes] | None) -> None:
    pod = a_pod(volumes=[{"name": "v", **volume}])
    assert volume_files(pod, (pod.spec.volumes or [])[0], REFERENCES) == files


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"configMap": {"name": "none"}}, 'configmap "none" not found'),
        ({"configMap": {"name": "c", "items": [{"key": "no", "path": "x"}]}}, "non-existent config key: no"),
        ({"secret": {"secretName": "none"}}, 'secret "none" not found'),
        ({"projected": {"sources": []}}, "volume 'v': this kind of volume is not built"),
    ],
)
def test_a_volume_that_cannot_be_filled(volume: dict[str, Any], message: str) -> None:
    pod = a_pod(volumes=[{"name": "v", **volume}])
    with pytest.raises(CannotConfigure, match=message):
        volume_files(pod, (pod.spec.volumes or [])[0], REFERENCES)


def test_mounts() -> None:
    container = {
        "volumeMounts": [
            {"name": "conf", "mountPath": "/etc/app", "readOnly": True},
            {"name": "host", "mountPath": "/run/x", "subPath": "sub"},
        ]
    }
    volumes = [{"name": "conf", "configMap": {"name": "c"}}, {"name": "host", "hostPath": {"path": "/run/"}}]
    pod = a_pod(container, volumes=volumes)
    assert mounts(pod, pod.spec.containers[0]) == [
        Mount(host_path="/var/lib/kubelet/pods/u/volumes/conf", container_path="/etc/app", read_only=True),
        Mount(host_path="/run/sub", container_path="/run/x"),
    ]


def test_a_host_port_is_refused_unless_the_pod_has_the_host_s_network() -> None:
    ports = {"ports": [{"containerPort": 80, "hostPort": 8080}]}
    with pytest.raises(CannotConfigure, match="hostPort 8080: not built yet"):
        check_ports(a_pod(ports), a_pod(ports).spec.containers[0])
    check_ports(a_pod(ports, hostNetwork=True), a_pod(ports).spec.containers[0])


def test_a_mount_without_its_volume_is_refused() -> None:
    pod = a_pod({"volumeMounts": [{"name": "none", "mountPath": "/x"}]})
    with pytest.raises(CannotConfigure, match="volume 'none' is not declared"):
        mounts(pod, pod.spec.containers[0])


CLUSTER = (["10.96.0.10"], ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"], ["ndots:5"])


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, CLUSTER),
        ({"hostNetwork": True}, ([], [], [])),
        ({"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}, CLUSTER),
        ({"dnsPolicy": "Default"}, ([], [], [])),
        (
            {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["9.9.9.9"], "options": [{"name": "rotate"}]}},
            (["9.9.9.9"], [], ["rotate"]),
        ),
        ({"dnsConfig": {"options": [{"name": "ndots", "value": "1"}]}}, (CLUSTER[0], CLUSTER[1], ["ndots:1"])),
    ],
)
def test_the_resolver_s_settings(spec: dict[str, Any], expected: tuple[list[str], list[str], list[str]]) -> None:
    dns = sandbox_config(a_pod(**spec), 0, "10.96.0.10", "cluster.local", "node-1").dns
    assert (dns.servers, dns.searches, dns.options) == expected
