"""Rules of Pods and pod templates."""

from typing import Final

from podwire.proto.kube.json_objects import copy_json, items, section
from podwire.proto.kube.quantity import thousandths
from podwire.services.apiserver.core import names
from podwire.services.apiserver.core.errors import FieldErrors
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.validation import containers, debugging
from podwire.services.apiserver.core.validation.metadata import labels, not_negative, one_of

PROTOCOLS: Final = ["SCTP", "TCP", "UDP"]
_UPDATES: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_DNS_POLICIES: Final = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]


def validate(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """A Pod."""
    spec = section(value, "spec")
    pod_spec(spec, "spec", errors)
    if old is not None:
        _update(spec, section(old, "spec"), errors)


def pod_spec(spec: Json, path: str, errors: FieldErrors) -> None:
    """A pod's specification, in a Pod or a template."""
    volumes = _volumes(spec, path, errors)
    if not items(spec, "containers"):
        errors.required(f"{path}.containers")
    seen: list[str] = []
    grace = spec.get("terminationGracePeriodSeconds") or 0
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(items(spec, field)):
            place = f"{path}.{field}[{index}]"
            _container(container, place, volumes, seen, errors)
            (containers.init_container if field == "initContainers" else containers.main_container)(
                container, place, errors
            )
            containers.lifecycle(container, place, grace, errors)
            containers.mounts(container, place, errors)
            containers.value_sources(container, place, errors)
    debugging.ephemeral_containers(spec, path, errors)
    one_of(spec, "restartPolicy", ["Always", "OnFailure", "Never"], path, errors)
    one_of(spec, "dnsPolicy", _DNS_POLICIES, path, errors)
    not_negative(spec, "terminationGracePeriodSeconds", path, errors)
    labels(section(spec, "nodeSelector"), f"{path}.nodeSelector", errors)
    for index, toleration in enumerate(items(spec, "tolerations")):
        _toleration(toleration, f"{path}.tolerations[{index}]", errors)
    _host_ports(spec, path, errors)
    if spec.get("dnsPolicy") == "None" and not items(section(spec, "dnsConfig"), "nameservers"):
        errors.required(
            f"{path}.dnsConfig.nameservers",
            "must provide at least one DNS nameserver when `dnsPolicy` is None",
        )


def _volumes(spec: Json, path: str, errors: FieldErrors) -> list[str]:
    found: list[str] = []
    for index, volume in enumerate(items(spec, "volumes")):
        place, name = f"{path}.volumes[{index}].name", volume.get("name", "")
        if not name:
            errors.required(place)
            continue
        for problem in names.dns1123_label(name):
            errors.invalid(place, name, problem)
        if name in found:
            errors.duplicate(place, name)
        found.append(name)
    return found


def _container(container: Json, path: str, volumes: list[str], seen: list[str], errors: FieldErrors) -> None:
    name = container.get("name", "")
    if not name:
        errors.required(f"{path}.name")
    else:
        for problem in names.dns1123_label(name):
            errors.invalid(f"{path}.name", name, problem)
        if name in seen:
            errors.duplicate(f"{path}.name", name)
        seen.append(name)
    image = container.get("image", "")
    if not image.strip():
        errors.required(f"{path}.image")
    elif image != image.strip():
        errors.invalid(f"{path}.image", image, "must not have leading or trailing whitespace")
    one_of(container, "imagePullPolicy", ["Always", "IfNotPresent", "Never"], path, errors)
    _ports(container, path, errors)
    _environment(container, path, errors)
    _mounts(container, path, volumes, errors)
    _resources(section(container, "resources"), f"{path}.resources", errors)
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if isinstance(container.get(probe), dict):
            _probe(container[probe], f"{path}.{probe}", probe != "readinessProbe", errors)


def _ports(container: Json, path: str, errors: FieldErrors) -> None:
    seen: list[str] = []
    for index, port in enumerate(items(container, "ports")):
        place, name = f"{path}.ports[{index}]", port.get("name", "")
        if name:
            for problem in names.port_name(name):
                errors.invalid(f"{place}.name", name, problem)
            if name in seen:
                errors.duplicate(f"{place}.name", name)
            seen.append(name)
        if not port.get("containerPort"):
            errors.required(f"{place}.containerPort")
        else:
            for problem in names.port_number(port["containerPort"]):
                errors.invalid(f"{place}.containerPort", port["containerPort"], problem)
        if port.get("hostPort"):
            for problem in names.port_number(port["hostPort"]):
                errors.invalid(f"{place}.hostPort", port["hostPort"], problem)
        one_of(port, "protocol", PROTOCOLS, place, errors)


def _host_ports(spec: Json, path: str, errors: FieldErrors) -> None:
    seen: list[tuple[object, object, object]] = []
    for at, container in enumerate(items(spec, "containers")):
        for index, port in enumerate(items(container, "ports")):
            place = f"{path}.containers[{at}].ports[{index}]"
            if not port.get("hostPort"):
                continue
            if spec.get("hostNetwork") and port["hostPort"] != port.get("containerPort"):
                errors.invalid(
                    f"{place}.containerPort",
                    port.get("containerPort", 0),
                    "must match `hostPort` when `hostNetwork` is true",
                )
            identity = (port["hostPort"], port.get("protocol"), port.get("hostIP", ""))
            if identity in seen:
                errors.duplicate(f"{place}.hostPort", f"{port.get('protocol')}/{port['hostPort']}")
            seen.append(identity)


def _environment(container: Json, path: str, errors: FieldErrors) -> None:
    for index, variable in enumerate(items(container, "env")):
        place, name = f"{path}.env[{index}]", variable.get("name", "")
        if not name:
            errors.required(f"{place}.name")
        else:
            for problem in names.env_name(name):
                errors.invalid(f"{place}.name", name, problem)
        if variable.get("value") and variable.get("valueFrom"):
            errors.invalid(f"{place}.valueFrom", "", "may not be specified when `value` is not empty")


def _mounts(container: Json, path: str, volumes: list[str], errors: FieldErrors) -> None:
    seen: list[str] = []
    for index, mount in enumerate(items(container, "volumeMounts")):
        place, target = f"{path}.volumeMounts[{index}]", mount.get("mountPath", "")
        if not mount.get("name"):
            errors.required(f"{place}.name")
        elif mount["name"] not in volumes:
            errors.not_found(f"{place}.name", mount["name"])
        if not target:
            errors.required(f"{place}.mountPath")
        elif target in seen:
            errors.invalid(f"{place}.mountPath", target, "must be unique")
        seen.append(target)


def _resources(resources: Json, path: str, errors: FieldErrors) -> None:
    limits, requests = section(resources, "limits"), section(resources, "requests")
    for kind, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            if thousandths(amount) < 0:
                errors.invalid(f"{path}.{kind}[{name}]", amount, "must be greater than or equal to 0")
    for name, amount in requests.items():
        if name in limits and thousandths(amount) > thousandths(limits[name]):
            errors.invalid(f"{path}.requests", amount, f"must be less than or equal to {name} limit of {limits[name]}")


def _probe(probe: Json, path: str, one_success: bool, errors: FieldErrors) -> None:
    handlers = [name for name in ("exec", "httpGet", "tcpSocket", "grpc") if isinstance(probe.get(name), dict)]
    if not handlers:
        errors.required(path, "must specify a handler type")
    for extra in handlers[1:]:
        errors.forbidden(f"{path}.{extra}", "may not specify more than 1 handler type")
    for name in handlers[:1]:
        if name == "exec" and not items(probe["exec"], "command"):
            errors.required(f"{path}.exec.command")
        elif name != "exec":
            _handler_port(probe[name].get("port"), f"{path}.{name}.port", errors)
    for key in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        not_negative(probe, key, path, errors)
    if one_success and probe.get("successThreshold") != 1:
        errors.invalid(f"{path}.successThreshold", probe.get("successThreshold"), "must be 1")


def _handler_port(port: object, path: str, errors: FieldErrors) -> None:
    problems = names.port_name(port) if isinstance(port, str) else names.port_number(port)
    for problem in problems:
        errors.invalid(path, port if port is not None else 0, problem)


def _toleration(toleration: Json, path: str, errors: FieldErrors) -> None:
    one_of(toleration, "operator", ["Equal", "Exists"], path, errors)
    if toleration.get("key"):
        for problem in names.label_key(toleration["key"]):
            errors.invalid(f"{path}.key", toleration["key"], problem)
    elif toleration.get("operator") != "Exists":
        errors.invalid(
            f"{path}.operator",
            toleration.get("operator", ""),
            'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        )
    if toleration.get("tolerationSeconds") is not None and toleration.get("effect") != "NoExecute":
        errors.invalid(
            f"{path}.effect",
            toleration.get("effect", ""),
            "effect must be 'NoExecute' when `tolerationSeconds` is set",
        )


def _update(spec: Json, old: Json, errors: FieldErrors) -> None:
    kept = [entry for entry in items(old, "tolerations") if entry not in items(spec, "tolerations")]
    if kept or _frozen(spec) != _frozen(old):
        errors.forbidden("spec", _UPDATES)
    debugging.only_additions(spec, old, errors)


def keeps_ephemeral_containers(value: Json, old: Json, errors: FieldErrors) -> None:
    """They change through their own subresource only."""
    if items(section(value, "spec"), "ephemeralContainers") != items(section(old, "spec"), "ephemeralContainers"):
        errors.forbidden("spec", _UPDATES)


def _frozen(spec: Json) -> Json:
    rest = copy_json(spec)
    for key in ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "ephemeralContainers"):
        rest.pop(key, None)
    for container in items(rest, "initContainers") + items(rest, "containers"):
        container.pop("image", None)
    return rest
