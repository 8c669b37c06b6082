"""A container's environment, volumes, mounts and resolver, from the pod and what it refers to."""

from typing import Any

import pytest

from podwire.proto.kube.meta import ConfigMap, Secret
from podwire.proto.kube.network import Service
from podwire.proto.kube.pod import Pod
from podwire.proto.messages import codec
from podwire.proto.messages.runtime import Mount, PortMapping, VolumeFile
from podwire.services.kubelet.core.fields import Addresses
from podwire.services.kubelet.core.references import CannotConfigure, References
from podwire.services.kubelet.core.sandbox import sandbox_config
from podwire.services.kubelet.core.variables import environment, expanded, service_variables
from podwire.services.kubelet.core.volumes import Filled, Folder, OfMachine, copies, mounts, place

CONFIG = codec.decode(ConfigMap, codec.encode({"metadata": {"name": "c"}, "data": {"mode": "fast", "a.conf": "x=1"}}))
SECRET = codec.decode(Secret, codec.encode({"metadata": {"name": "s"}, "data": {"password": "cGFzcw=="}}))
SERVICE = codec.decode(
    Service,
    codec.encode({"metadata": {"name": "my-api"}, "spec": {"clusterIP": "10.96.0.9", "ports": [{"port": 80}]}}),
)
REFERENCES = References({"c": CONFIG}, {"s": SECRET}, tokens={("", 3600): "jwt"})
ADDRESSES = Addresses(("172.18.0.3",), ("10.244.1.5",))


def a_pod(container: dict[str, Any] | None = None, **spec: Any) -> Pod:
    metadata = {"name": "web", "namespace": "shop", "uid": "u", "labels": {"app": "web"}}
    value = {
        "metadata": metadata,
        "spec": {"containers": [{"name": "main", **(container or {})}], "nodeName": "node-1", **spec},
        "status": {"podIP": "10.244.1.5"},
    }
    return codec.decode(Pod, codec.encode(value))


def variables(*env: dict[str, Any], references: References = REFERENCES) -> dict[str, str]:
    resources = {"limits": {"memory": "64Mi"}, "requests": {"cpu": "250m"}}
    pod = a_pod({"env": list(env), "resources": resources})
    found = environment(pod, pod.spec.containers[0], references, ADDRESSES)
    del found["HOSTNAME"]
    return found


FIELD = "fieldRef"


@pytest.mark.parametrize(
    ("env", "value"),
    [
        ({"value": "plain"}, "plain"),
        ({"value": "$$(UNKNOWN)"}, "$(UNKNOWN)"),
        ({"value": "$$5 $x $("}, "$5 $x $("),
        ({"valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}}, "64"),
        ({"valueFrom": {"resourceFieldRef": {"resource": "requests.cpu", "divisor": "1m"}}}, "250"),
        ({"valueFrom": {"resourceFieldRef": {"resource": "requests.cpu"}}}, "1"),
        ({"valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}, "8"),
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
        ({"configMapKeyRef": {"name": "c", "key": "a"}}, "couldn't find key a in ConfigMap shop/c"),
        ({"secretKeyRef": {"name": "none", "key": "a"}}, 'secret "none" not found'),
        ({FIELD: {"fieldPath": "spec.nothing"}}, "fieldPath 'spec.nothing' is not supported"),
        ({"secretKeyRef": {"name": "s", "key": "a"}}, "couldn't find key a in Secret shop/s"),
        ({"resourceFieldRef": {"resource": "limits.gpu"}}, "unsupported container resource : limits.gpu"),
    ],
)
def test_a_variable_that_cannot_be_had(source: dict[str, Any], message: str) -> None:
    with pytest.raises(CannotConfigure, match=message):
        variables({"name": "X", "valueFrom": source})


def test_an_optional_reference_is_left_out() -> None:
    source = {"configMapKeyRef": {"name": "none", "key": "a", "optional": True}}
    assert variables({"name": "X", "valueFrom": source}) == {}


def test_services_become_variables() -> None:
    url = "tcp://10.96.0.9:80"
    assert service_variables((SERVICE,)) == {
        "MY_API_SERVICE_HOST": "10.96.0.9",
        "MY_API_SERVICE_PORT": "80",
        "MY_API_PORT": url,
        "MY_API_PORT_80_TCP": url,
        "MY_API_PORT_80_TCP_PROTO": "tcp",
        "MY_API_PORT_80_TCP_PORT": "80",
        "MY_API_PORT_80_TCP_ADDR": "10.96.0.9",
    }


def test_later_variables_see_earlier_ones_and_services() -> None:
    references = References(services=(SERVICE,))
    first, second = {"name": "A", "value": "1"}, {"name": "B", "value": "$(A)$(MY_API_SERVICE_PORT)"}
    assert variables(first, second, references=references)["B"] == "180"


def test_whole_objects_come_first_and_may_be_prefixed() -> None:
    sources = [{"configMapRef": {"name": "c"}, "prefix": "C_"}, {"secretRef": {"name": "s"}}]
    pod = a_pod({"envFrom": sources, "env": [{"name": "password", "value": "own"}]})
    found = environment(pod, pod.spec.containers[0], REFERENCES, ADDRESSES)
    assert (found["C_mode"], found["C_a.conf"], found["password"]) == ("fast", "x=1", "own")


def test_whole_objects_must_be_there_unless_optional() -> None:
    pod = a_pod({"envFrom": [{"configMapRef": {"name": "none", "optional": True}}, {"secretRef": {"name": "none"}}]})
    with pytest.raises(CannotConfigure, match='secret "none" not found'):
        environment(pod, pod.spec.containers[0], REFERENCES, ADDRESSES)


def test_commands_see_variables() -> None:
    assert expanded(["$(A)/x", "$$(A)", "$(B)"], {"A": "1"}) == ["1/x", "$(A)", "$(B)"]


def files_of(volume: dict[str, Any]) -> dict[str, tuple[bytes, int]]:
    pod = a_pod(volumes=[{"name": "v", **volume}])
    found = place(pod, (pod.spec.volumes or [])[0], REFERENCES, ADDRESSES)
    assert isinstance(found, Filled)
    return {name: (file.data, file.mode) for name, file in found.files.items()}


TOKEN = {"serviceAccountToken": {"path": "token"}}
NAME = {"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}


@pytest.mark.parametrize(
    ("volume", "files"),
    [
        ({"configMap": {"name": "c"}}, {"mode": (b"fast", 0o644), "a.conf": (b"x=1", 0o644)}),
        ({"configMap": {"name": "c", "items": [{"key": "mode", "path": "m/x", "mode": 256}]}}, {"m/x": (b"fast", 256)}),
        ({"configMap": {"name": "none", "optional": True}}, {}),
        ({"configMap": {"name": "c", "optional": True, "items": [{"key": "no", "path": "x"}]}}, {}),
        ({"secret": {"secretName": "s", "defaultMode": 256}}, {"password": (b"pass", 256)}),
        ({"downwardAPI": {"items": [NAME]}}, {"n": (b"web", 0o644)}),
        (
            {"downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
            {"l": (b'app="web"', 0o644)},
        ),
        (
            {"projected": {"sources": [TOKEN, {"configMap": {"name": "c", "items": [{"key": "mode", "path": "m"}]}}]}},
            {"token": (b"jwt", 0o644), "m": (b"fast", 0o644)},
        ),
    ],
)
def test_the_files_of_a_volume(volume: dict[str, Any], files: dict[str, tuple[bytes, int]]) -> None:
    assert files_of(volume) == files


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"configMap": {"name": "none"}}, 'configmap "none" not found'),
        ({"configMap": {"name": "c", "items": [{"key": "no", "path": "x"}]}}, "non-existent config key: no"),
        ({"secret": {"secretName": "none"}}, 'secret "none" not found'),
        ({"secret": {"secretName": "s", "items": [{"key": "no", "path": "x"}]}}, "non-existent secret key: no"),
        ({"persistentVolumeClaim": {"claimName": "p"}}, 'persistentvolumeclaims "p" not found'),
        ({"nfs": {"server": "a", "path": "/"}}, "this kind of volume is not built"),
    ],
)
def test_a_volume_that_cannot_be_filled(volume: dict[str, Any], message: str) -> None:
    with pytest.raises(CannotConfigure, match=message):
        files_of(volume)


VOLUMES = [
    {"name": "conf", "configMap": {"name": "c"}},
    {"name": "host", "hostPath": {"path": "/run/"}},
    {"name": "tmp", "emptyDir": {}},
]


def test_mounts_and_their_sub_paths() -> None:
    container = {
        "volumeMounts": [
            {"name": "conf", "mountPath": "/etc/app"},
            {"name": "host", "mountPath": "/run/x", "subPath": "sub"},
            {"name": "conf", "mountPath": "/one", "subPath": "mode"},
            {"name": "tmp", "mountPath": "/tmp", "subPathExpr": "$(POD)/x"},
        ]
    }
    pod = a_pod(container, volumes=VOLUMES)
    places = {volume.name: place(pod, volume, REFERENCES, ADDRESSES) for volume in pod.spec.volumes or []}
    root, [main] = "/var/lib/kubelet/pods/u", pod.spec.containers
    assert (places["host"], places["tmp"]) == (
        OfMachine("/run/"),
        Folder(f"{root}/volumes/kubernetes.io~empty-dir/tmp"),
    )
    assert mounts(pod, main, places, {"POD": "web"}) == [
        Mount(host_path=f"{root}/volumes/kubernetes.io~configmap/conf", container_path="/etc/app", read_only=True),
        Mount(host_path="/run/sub", container_path="/run/x"),
        Mount(host_path=f"{root}/volume-subpaths/conf/main/2", container_path="/one", read_only=True),
        Mount(host_path=f"{root}/volumes/kubernetes.io~empty-dir/tmp/web/x", container_path="/tmp"),
    ]
    assert {number: dict(copy.files) for number, copy in copies(main, places, {}).items()} == {
        2: {"": VolumeFile(b"fast", 0o644)}
    }


def test_host_ports_are_the_sandbox_s_unless_it_has_the_host_s_network() -> None:
    ports = {"ports": [{"containerPort": 80, "hostPort": 8080, "hostIP": "172.18.0.3"}, {"containerPort": 81}]}
    mapping = PortMapping(protocol="tcp", container_port=80, host_port=8080, host_address="172.18.0.3")
    assert sandbox_config(a_pod(ports), 0, "", "cluster.local", "node-1").port_mappings == [mapping]
    assert sandbox_config(a_pod(ports, hostNetwork=True), 0, "", "cluster.local", "node-1").port_mappings == []


@pytest.mark.parametrize(
    ("spec", "hostname", "domain"),
    [
        ({}, "web", ""),
        ({"hostname": "a"}, "a", ""),
        ({"hostname": "a", "subdomain": "s"}, "a", "s.shop.svc.cluster.local"),
        ({"subdomain": "s", "setHostnameAsFQDN": True}, "web.s.shop.svc.cluster.local", "s.shop.svc.cluster.local"),
        ({"hostNetwork": True}, "node-1", ""),
    ],
)
def test_host_names(spec: dict[str, Any], hostname: str, domain: str) -> None:
    config = sandbox_config(a_pod(**spec), 0, "", "cluster.local", "node-1")
    assert (config.hostname, config.domain) == (hostname, domain)


def test_host_aliases_stand_as_in_the_pod_though_an_address_has_several() -> None:
    aliases = [{"ip": "10.0.0.9", "hostnames": ["a", "b"]}, {"ip": "10.0.0.9", "hostnames": ["c"]}]
    config = sandbox_config(a_pod(hostAliases=aliases), 0, "", "cluster.local", "node-1")
    found = [(alias.address, alias.names) for alias in config.host_aliases]
    assert found == [("10.0.0.9", ["a", "b"]), ("10.0.0.9", ["c"])]


def test_a_mount_without_its_volume_is_refused() -> None:
    pod = a_pod({"volumeMounts": [{"name": "none", "mountPath": "/x"}]})
    with pytest.raises(CannotConfigure, match="volume 'none' is not declared"):
        mounts(pod, pod.spec.containers[0], {}, {})


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
