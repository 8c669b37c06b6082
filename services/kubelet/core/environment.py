"""Environment, volumes and names of a pod's containers, from the pod and the objects that it refers to."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from podwire.proto.kube.meta import ConfigMap, Secret
from podwire.proto.kube.network import Service
from podwire.proto.kube.pod import Container, EnvVar, KeySelector, KeyToPath, Pod, Volume
from podwire.proto.messages.runtime import Dns, Mount, SandboxConfig


class CannotConfigure(Exception):
    """A container cannot be made from what there is (CreateContainerConfigError)."""


@dataclass(frozen=True, slots=True)
class References:
    """The objects of the pod's namespace that it refers to, by name, and the Services that it sees."""

    config_maps: Mapping[str, ConfigMap] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    services: tuple[Service, ...] = ()


def volume_folder(uid: str, volume: str) -> str:
    """Where the kubelet keeps a pod's volume on the machine."""
    return f"/var/lib/kubelet/pods/{uid}/volumes/{volume}"


def pod_folder(uid: str) -> str:
    """Everything that the kubelet keeps for a pod."""
    return f"/var/lib/kubelet/pods/{uid}"


# -- environment


def environment(pod: Pod, container: Container, references: References, host_address: str) -> dict[str, str]:
    """The variables of a container. Raises CannotConfigure."""
    values = service_variables(references.services)
    values["HOSTNAME"] = sandbox_hostname(pod)
    for variable in container.env or []:
        value = _value(pod, variable, references, host_address)
        if value is not None:
            values[variable.name] = _expand(value, values)
    return values


def _value(pod: Pod, variable: EnvVar, references: References, host_address: str) -> str | None:
    source = variable.value_from
    if source is None:
        return variable.value
    if source.field_ref is not None:
        return _pod_field(pod, source.field_ref.field_path, host_address)
    if source.config_map_key_ref is not None:
        return _config_map_key(source.config_map_key_ref, references)
    if source.secret_key_ref is not None:
        return _secret_key(source.secret_key_ref, references)
    raise CannotConfigure(f"env {variable.name}: this valueFrom is not built (fieldRef, configMapKeyRef, secretKeyRef)")


def _pod_field(pod: Pod, path: str, host_address: str) -> str:
    simple = {
        "metadata.name": pod.metadata.name,
        "metadata.namespace": pod.metadata.namespace,
        "metadata.uid": pod.metadata.uid,
        "spec.nodeName": pod.spec.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name,
        "status.hostIP": host_address,
        "status.podIP": host_address if pod.spec.host_network else pod.status.pod_ip,
    }
    if path in simple:
        return simple[path]
    keyed = re.fullmatch(r"metadata\.(labels|annotations)\['([^']+)'\]", path)
    if keyed is None:
        raise CannotConfigure(f"fieldPath {path!r} is not supported")
    holder = pod.metadata.labels if keyed[1] == "labels" else pod.metadata.annotations
    return (holder or {}).get(keyed[2], "")


def _config_map_key(selector: KeySelector, references: References) -> str | None:
    found = references.config_maps.get(selector.name)
    if found is None:
        _missing(selector, f'configmap "{selector.name}" not found')
        return None
    if (value := (found.data or {}).get(selector.key)) is None:
        _missing(selector, f"couldn't find key {selector.key} in ConfigMap {selector.name}")
        return None
    return value


def _secret_key(selector: KeySelector, references: References) -> str | None:
    found = references.secrets.get(selector.name)
    if found is None:
        _missing(selector, f'secret "{selector.name}" not found')
        return None
    if (value := (found.data or {}).get(selector.key)) is None:
        _missing(selector, f"couldn't find key {selector.key} in Secret {selector.name}")
        return None
    return _decoded(value).decode(errors="replace")


def _missing(selector: KeySelector, message: str) -> None:
    if not selector.optional:
        raise CannotConfigure(message)


def _expand(text: str, values: Mapping[str, str]) -> str:
    """`$(NAME)` is replaced where NAME is known; `$$` is a dollar (third_party/forked/golang/expansion)."""

    def replacement(found: re.Match[str]) -> str:
        return "$" + found[0][2:] if found[0].startswith("$$") else values.get(found[1], found[0])

    return re.sub(r"\$\$(?:\([^)]*\))?|\$\(([^)]*)\)", replacement, text)


def service_variables(services: tuple[Service, ...]) -> dict[str, str]:
    """`<NAME>_SERVICE_HOST` and `_PORT` of the Services of the pod's namespace (pkg/kubelet/envvars)."""
    values: dict[str, str] = {}
    for service in services:
        ports = service.spec.ports or []
        if service.spec.cluster_ip in ("", "None") or not ports:
            continue
        prefix = service.metadata.name.upper().replace("-", "_")
        values[f"{prefix}_SERVICE_HOST"] = service.spec.cluster_ip
        values[f"{prefix}_SERVICE_PORT"] = str(ports[0].port)
        for port in ports:
            if port.name:
                values[f"{prefix}_SERVICE_PORT_{port.name.upper().replace('-', '_')}"] = str(port.port)
    return values


# -- volumes


def volume_files(pod: Pod, volume: Volume, references: References) -> dict[str, bytes] | None:
    """The files that the kubelet keeps for a volume; None for one that it does not fill. Raises CannotConfigure."""
    if volume.config_map is not None:
        source = volume.config_map
        found = references.config_maps.get(source.name)
        if found is None and not source.optional:
            raise CannotConfigure(f'configmap "{source.name}" not found')
        return _selected(_config_map_bytes(found), source.items, f"configmap {source.name}")
    if volume.secret is not None:
        secret = references.secrets.get(volume.secret.secret_name)
        if secret is None and not volume.secret.optional:
            raise CannotConfigure(f'secret "{volume.secret.secret_name}" not found')
        data = {key: _decoded(value) for key, value in (secret.data or {}).items()} if secret else {}
        return _selected(data, volume.secret.items, f"secret {volume.secret.secret_name}")
    if volume.empty_dir is None and volume.host_path is None:
        kinds = "configMap, secret, emptyDir, hostPath"
        raise CannotConfigure(f"volume {volume.name!r}: this kind of volume is not built ({kinds})")
    return {} if volume.empty_dir is not None else None


def check_ports(pod: Pod, container: Container) -> None:
    """Raises CannotConfigure for a host port, which nothing here would forward."""
    for port in container.ports or []:
        if port.host_port and not pod.spec.host_network:
            raise CannotConfigure(f"hostPort {port.host_port}: not built yet; use hostNetwork or a NodePort Service")


def _config_map_bytes(found: ConfigMap | None) -> dict[str, bytes]:
    if found is None:
        return {}
    text = {key: value.encode() for key, value in (found.data or {}).items()}
    return text | {key: _decoded(value) for key, value in (found.binary_data or {}).items()}


def _selected(data: dict[str, bytes], items: list[KeyToPath] | None, owner: str) -> dict[str, bytes]:
    if items is None:
        return data
    for item in items:
        if item.key not in data:
            raise CannotConfigure(f"references non-existent config key: {item.key} ({owner})")
    return {item.path: data[item.key] for item in items}


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise CannotConfigure("a value is not base64") from None


def mounts(pod: Pod, container: Container) -> list[Mount]:
    """Where the container sees which folders of the machine. Raises CannotConfigure."""
    by_name = {volume.name: volume for volume in pod.spec.volumes or []}
    found = []
    for mount in container.volume_mounts or []:
        volume = by_name.get(mount.name)
        if volume is None:
            raise CannotConfigure(f"volume {mount.name!r} is not declared")
        root = volume.host_path.path if volume.host_path is not None else volume_folder(pod.metadata.uid, volume.name)
        host_path = f"{root.rstrip('/')}/{mount.sub_path}" if mount.sub_path else root
        found.append(Mount(host_path=host_path, container_path=mount.mount_path, read_only=mount.read_only))
    return found


# -- the sandbox


def sandbox_hostname(pod: Pod) -> str:
    """The host name inside the pod: at most 63 characters (RFC 1123)."""
    return (pod.spec.hostname or pod.metadata.name)[:63].rstrip("-.")


def sandbox_config(pod: Pod, attempt: int, cluster_dns: str, cluster_domain: str, node: str) -> SandboxConfig:
    """The sandbox of a pod; the resolver's settings by its dnsPolicy (pkg/kubelet/network/dns)."""
    return SandboxConfig(
        uid=pod.metadata.uid,
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        attempt=attempt,
        hostname=node if pod.spec.host_network else sandbox_hostname(pod),
        host_network=pod.spec.host_network,
        dns=_dns(pod, cluster_dns, cluster_domain),
        host_aliases={alias.ip: list(alias.hostnames or []) for alias in pod.spec.host_aliases or []},
    )


def _dns(pod: Pod, cluster_dns: str, domain: str) -> Dns:
    policy = pod.spec.dns_policy
    uses_cluster = policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not pod.spec.host_network)
    servers = [cluster_dns] if uses_cluster else []
    searches = [f"{pod.metadata.namespace}.svc.{domain}", f"svc.{domain}", domain] if uses_cluster else []
    options = {"ndots": "5"} if uses_cluster else {}
    own = pod.spec.dns_config
    if own is not None:
        servers += [entry for entry in own.nameservers or [] if entry not in servers]
        searches += [entry for entry in own.searches or [] if entry not in searches]
        options |= {option.name: option.value or "" for option in own.options or []}
    return Dns(
        servers=servers,
        searches=searches,
        options=[f"{name}:{value}" if value else name for name, value in options.items()],
    )
