"""Running the plugin chain that the node's conflist names, as containerd does through libcni."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from podwire.proto.messages import kernel as operations
from podwire.services.node.cni import bridge, flannel, loopback, portmap, results
from podwire.services.node.cni.plugin import (
    INVALID_CONFIGURATION,
    Arguments,
    Attachments,
    CniError,
    Configuration,
    Host,
    Result,
)
from podwire.services.node.runtime.records import SandboxRecord

if TYPE_CHECKING:
    from podwire.services.node.machine import Machine

__all__ = ["CniError", "add_network", "check_network", "collect_garbage", "delete_network", "network_condition"]

FOLDER: Final = "/etc/cni/net.d"
_INTERFACE: Final = "eth0"


class Add(Protocol):
    """A plugin's ADD; chained plugins get the result so far."""

    def __call__(self, host: Host, configuration: Configuration, arguments: Arguments) -> Result: ...


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin's commands: ADD, DEL, CHECK and GC."""

    add: Callable[[Host, Configuration, Arguments, Result], Result]
    delete: Callable[[Host, Configuration, Arguments], None]
    check: Callable[[Host, Configuration, Arguments, Result], None]
    collect: Callable[[Host, Configuration, Attachments], None]


def _interface_plugin(add: Add) -> Callable[[Host, Configuration, Arguments, Result], Result]:
    return lambda host, configuration, arguments, before: add(host, configuration, arguments)


PLUGINS: Final = {
    "flannel": Plugin(_interface_plugin(flannel.add), flannel.delete, flannel.check, flannel.collect),
    "bridge": Plugin(_interface_plugin(bridge.add), bridge.delete, bridge.check, bridge.collect),
    "portmap": Plugin(portmap.add, portmap.delete, portmap.check, portmap.collect),
}


def network_list(machine: "Machine") -> tuple[str, list[dict[str, Any]]]:
    """Name and plugins of the first conflist. Raises CniError."""
    names = [name for name in machine.files.entries(FOLDER) if name.endswith(".conflist")]
    if not names:
        raise CniError("cni plugin not initialized")
    try:
        conflist = json.loads(machine.files.read(f"{FOLDER}/{names[0]}") or b"")
        plugins = [{"name": conflist["name"], **entry} for entry in conflist["plugins"]]
        kinds = [str(entry["type"]) for entry in plugins]
    except (ValueError, KeyError, TypeError) as error:
        raise CniError(f"error parsing {FOLDER}/{names[0]}: {error}", INVALID_CONFIGURATION) from None
    for kind in kinds:
        if kind not in PLUGINS:
            raise CniError(f'failed to find plugin "{kind}" in path [/opt/cni/bin]')
    return str(conflist["name"]), plugins


def network_condition(machine: "Machine") -> tuple[bool, str]:
    """Whether the machine can give pods a network, and why not."""
    try:
        network_list(machine)
    except CniError as error:
        return False, str(error)
    return True, ""


def _host(machine: "Machine") -> Host:
    return Host(machine.files, machine.shell, machine.random)


def _with_capabilities(configuration: dict[str, Any], record: SandboxRecord) -> dict[str, Any]:
    """What the runtime hands to plugins that can do it (CNI conventions: `capabilities` and `runtimeConfig`)."""
    if not (configuration.get("capabilities") or {}).get("portMappings") or not record.config.port_mappings:
        return configuration
    mappings = [
        {
            "hostPort": entry.host_port,
            "containerPort": entry.container_port,
            "protocol": entry.protocol,
            "hostIP": entry.host_address,
        }
        for entry in record.config.port_mappings
    ]
    return {**configuration, "runtimeConfig": {"portMappings": mappings}}


def _arguments(record: SandboxRecord) -> Arguments:
    pod = f"{record.config.namespace}/{record.config.name}"
    return Arguments(record.id, record.namespace, _INTERFACE, pod)


async def add_network(machine: "Machine", record: SandboxRecord) -> tuple[str, ...]:
    """Makes the namespace and runs ADD of each plugin; the pod's addresses. Raises CniError; DEL cleans up after it."""
    host, arguments = _host(machine), _arguments(record)
    network, plugins = network_list(machine)
    host.program(operations.NetnsAdd(netns=record.namespace))
    loopback.add(host, arguments)
    result = Result()
    for plugin in plugins:
        kind, configuration = plugin["type"], _with_capabilities(plugin, record)
        try:
            result = PLUGINS[kind].add(host, configuration, arguments, result)
        except CniError as error:
            raise CniError(f'plugin type="{kind}" failed (add): {error}', error.code) from None
    if not result.addresses:
        raise CniError("the plugin chain gave no address")
    results.keep(host, network, arguments, result)
    return tuple(entry.address.partition("/")[0] for entry in result.addresses)


def check_network(machine: "Machine", record: SandboxRecord) -> None:
    """Runs CHECK of each plugin against what ADD gave. Raises CniError that says what is not as it was."""
    host, arguments = _host(machine), _arguments(record)
    network, plugins = network_list(machine)
    before = results.kept(host, network, arguments)
    if before is None:
        raise CniError(f'no result of network "{network}" is kept for container {record.id}')
    loopback.check(host, arguments)
    for plugin in plugins:
        kind, configuration = plugin["type"], _with_capabilities(plugin, record)
        try:
            PLUGINS[kind].check(host, configuration, arguments, before)
        except CniError as error:
            raise CniError(f'plugin type="{kind}" failed (check): {error}', error.code) from None


def collect_garbage(machine: "Machine", records: Iterable[SandboxRecord]) -> None:
    """Frees what attachments hold that belong to none of these sandboxes: DEL for those whose results are kept, then
    GC of each plugin (libcni, GCNetworkList). Idempotent. Raises CniError."""
    host = _host(machine)
    network, plugins = network_list(machine)
    valid = frozenset((record.id, _INTERFACE) for record in records if record.namespace)
    for lost in results.attachments(host, network):
        if (lost.container, lost.interface) not in valid:
            for plugin in reversed(plugins):
                PLUGINS[plugin["type"]].delete(host, plugin, lost)
            results.forget(host, network, lost)
    for plugin in plugins:
        PLUGINS[plugin["type"]].collect(host, plugin, valid)


async def delete_network(machine: "Machine", record: SandboxRecord) -> None:
    """Runs DEL of each plugin, last first, and removes the namespace. Idempotent. Raises CniError."""
    host, arguments = _host(machine), _arguments(record)
    try:
        network, plugins = network_list(machine)
    except CniError:
        network, plugins = "", []
    for configuration in [_with_capabilities(plugin, record) for plugin in reversed(plugins)]:
        PLUGINS[configuration["type"]].delete(host, configuration, arguments)
    if network:
        results.forget(host, network, arguments)
    known: list[str] = host.program(operations.Read(kind="netns"))
    if record.namespace in known:
        host.program(operations.NetnsDelete(netns=record.namespace))
