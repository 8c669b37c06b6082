"""The environment, command and arguments of a container.

Source: kubernetes `pkg/kubelet/kubelet_pods.go` (makeEnvironmentVariables), `third_party/forked/golang/expansion`,
`pkg/kubelet/envvars`, `pkg/kubelet/container/helpers.go` (ExpandContainerCommandAndArgs).
"""

import re
from collections.abc import Mapping
from typing import Final

from podwire.proto.kube.container import Container, EnvFromSource, EnvSource, KeySelector
from podwire.proto.kube.network import Service, ServicePort
from podwire.proto.kube.pod import Pod
from podwire.services.kubelet.core.fields import Addresses, pod_field, resource_field
from podwire.services.kubelet.core.references import (
    CannotConfigure,
    References,
    secret_bytes,
)
from podwire.services.kubelet.core.sandbox import sandbox_hostname

_REFERENCE: Final = re.compile(r"\$\$|\$\(([^)]*)\)")


def environment(pod: Pod, container: Container, references: References, addresses: Addresses) -> dict[str, str]:
    """The variables of a container: those of envFrom, then env over them, then Services where nothing else is set.
    Raises CannotConfigure."""
    services = service_variables(references.services)
    found: dict[str, str] = {}
    for source in container.env_from or []:
        found |= _all_keys(source, references)
    for variable in container.env or []:
        if variable.value or variable.value_from is None:
            found[variable.name] = expand(variable.value, services | found)
            continue
        value = _value(pod, container, variable.value_from, references, addresses)
        if value is not None:
            found[variable.name] = value
    return {"HOSTNAME": sandbox_hostname(pod)} | services | found


def expand(text: str, values: Mapping[str, str]) -> str:
    """`$(NAME)` is replaced where NAME is known and stays where it is not; `$$` is a dollar."""
    return _REFERENCE.sub(lambda found: "$" if found[0] == "$$" else values.get(found[1], found[0]), text)


def expanded(words: list[str] | None, values: Mapping[str, str]) -> list[str]:
    """A command or arguments with their references to variables replaced."""
    return [expand(word, values) for word in words or []]


def _value(
    pod: Pod, container: Container, source: EnvSource, references: References, addresses: Addresses
) -> str | None:
    if source.field_ref is not None:
        return pod_field(pod, source.field_ref.field_path, addresses)
    if source.resource_field_ref is not None:
        return resource_field(pod, source.resource_field_ref, container)
    if source.config_map_key_ref is not None:
        return _config_map_key(pod, source.config_map_key_ref, references)
    if source.secret_key_ref is not None:
        return _secret_key(pod, source.secret_key_ref, references)
    return None


def _config_map_key(pod: Pod, selector: KeySelector, references: References) -> str | None:
    found = references.config_maps.get(selector.name)
    value = (found.data or {}).get(selector.key) if found is not None else None
    if value is None and not selector.optional:
        place = f"{pod.metadata.namespace}/{selector.name}"
        missing = f"couldn't find key {selector.key} in ConfigMap {place}"
        raise CannotConfigure(f'configmap "{selector.name}" not found' if found is None else missing)
    return value


def _secret_key(pod: Pod, selector: KeySelector, references: References) -> str | None:
    found = references.secrets.get(selector.name)
    value = secret_bytes(found).get(selector.key) if found is not None else None
    if value is None and not selector.optional:
        place = f"{pod.metadata.namespace}/{selector.name}"
        missing = f"couldn't find key {selector.key} in Secret {place}"
        raise CannotConfigure(f'secret "{selector.name}" not found' if found is None else missing)
    return None if value is None else value.decode(errors="replace")


def _all_keys(source: EnvFromSource, references: References) -> dict[str, str]:
    data: dict[str, bytes] = {}
    if source.config_map_ref is not None:
        config = references.config_maps.get(source.config_map_ref.name)
        if config is None and not source.config_map_ref.optional:
            raise CannotConfigure(f'configmap "{source.config_map_ref.name}" not found')
        data = {key: value.encode() for key, value in (config.data or {}).items()} if config is not None else {}
    if source.secret_ref is not None:
        secret = references.secrets.get(source.secret_ref.name)
        if secret is None and not source.secret_ref.optional:
            raise CannotConfigure(f'secret "{source.secret_ref.name}" not found')
        data = secret_bytes(secret) if secret is not None else {}
    return {source.prefix + key: value.decode(errors="replace") for key, value in data.items()}


def service_variables(services: tuple[Service, ...]) -> dict[str, str]:
    """The variables of the Services that a pod sees, Docker's link variables among them (pkg/kubelet/envvars)."""
    values: dict[str, str] = {}
    for service in services:
        ports = service.spec.ports or []
        if service.spec.cluster_ip in ("", "None") or not ports:
            continue
        prefix = _variable_name(service.metadata.name)
        values[f"{prefix}_SERVICE_HOST"] = service.spec.cluster_ip
        values[f"{prefix}_SERVICE_PORT"] = str(ports[0].port)
        for port in ports:
            if port.name:
                values[f"{prefix}_SERVICE_PORT_{_variable_name(port.name)}"] = str(port.port)
        for number, port in enumerate(ports):
            values |= _link_variables(prefix, service.spec.cluster_ip, port, number == 0)
    return values


def _variable_name(name: str) -> str:
    return name.upper().replace("-", "_")


def _link_variables(prefix: str, address: str, port: ServicePort, is_first: bool) -> dict[str, str]:
    protocol = port.protocol or "TCP"
    url = f"{protocol.lower()}://{address}:{port.port}"
    name = f"{prefix}_PORT_{port.port}_{protocol.upper()}"
    first = {f"{prefix}_PORT": url} if is_first else {}
    return first | {
        name: url,
        f"{name}_PROTO": protocol.lower(),
        f"{name}_PORT": str(port.port),
        f"{name}_ADDR": address,
    }
