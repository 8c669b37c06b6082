"""The portmap plugin: ports of the machine that lead into pods, as DNAT rules in the machine's own kernel.

Source: containernetworking/plugins `plugins/meta/portmap/{portmap,portmap_iptables,chain}.go`, `pkg/utils/iptables.go`.
"""

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from podwire.proto.messages import kernel as operations
from podwire.services.node.cni.plugin import INVALID_CONFIGURATION, Arguments, CniError, Configuration, Host, Result

_DNAT: Final = "CNI-HOSTPORT-DNAT"
_MARK_CHAIN: Final = "CNI-HOSTPORT-SETMARK"
_MASQUERADE: Final = "CNI-HOSTPORT-MASQ"
_MARK: Final = "0x2000/0x2000"
_LONGEST_CHAIN: Final = 28
_MOST_PORTS: Final = 15
_EVERYWHERE: Final = ("", "0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class _Mapping:
    protocol: str
    host_port: int
    container_port: int
    host_address: str


def add(host: Host, configuration: Configuration, arguments: Arguments, before: Result) -> Result:
    """Writes the rules of the ports that the runtime asks for; the result so far is passed on. Raises CniError."""
    mappings = _mappings(configuration)
    if not mappings:
        return before
    if not before.addresses:
        raise CniError("portmap: the previous plugin gave no address")
    _ensure_common_chains(host)
    chain = _chain(configuration, arguments)
    _remove_chain(host, chain)
    _iptables(host, arguments, "-N", chain)
    for mapping in mappings:
        _map(host, arguments, chain, mapping, before.addresses[0].address)
    for rule in _entry_rules(configuration, arguments, chain, mappings):
        _iptables(host, arguments, "-A", _DNAT, *rule)
    for device in before.interfaces[:1]:
        host.program(operations.SysctlWrite(key=f"net.ipv4.conf.{device}.route_localnet", value="1"))
    return before


def delete(host: Host, configuration: Configuration, arguments: Arguments) -> None:
    """Removes the container's chain and what leads into it; what is gone already is no error."""
    _remove_chain(host, _chain(configuration, arguments))


def _mappings(configuration: Configuration) -> list[_Mapping]:
    """Raises CniError."""
    wanted: list[dict[str, Any]] = (configuration.get("runtimeConfig") or {}).get("portMappings") or []
    try:
        return [
            _Mapping(
                str(entry.get("protocol", "tcp")).lower(),
                int(entry["hostPort"]),
                int(entry["containerPort"]),
                str(entry.get("hostIP", "")),
            )
            for entry in wanted
            if int(entry["hostPort"]) > 0
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise CniError(f"Invalid portMappings: {error}", INVALID_CONFIGURATION) from None


def _chain(configuration: Configuration, arguments: Arguments) -> str:
    """`CNI-DN-` and a hash of network and container, 28 characters in all (utils.MustFormatChainNameWithPrefix)."""
    digest = hashlib.sha512(f"{configuration['name']}{arguments.container}".encode()).hexdigest()
    return f"CNI-DN-{digest}"[:_LONGEST_CHAIN]


# -- rules


def _iptables(host: Host, arguments: Arguments, command: str, *words: str) -> None:
    owner = f"Pod/{arguments.pod}"
    host.program(operations.IptablesCommand(arguments=("-t", "nat", command, *words), owner=owner))


def _saved(host: Host) -> list[str]:
    """The nat table's lines, without the counters in front of rules."""
    text: str = host.program(operations.Read(kind="iptables-save", table="nat"))
    return [line.partition("] ")[2] if line.startswith("[") else line for line in text.splitlines()]


_COMMON: Final = (
    (_DNAT, ()),
    (_MARK_CHAIN, ("-m", "comment", "--comment", "CNI portfwd masquerade mark", "-j", "MARK", "--set-xmark", _MARK)),
    (_MASQUERADE, ("-m", "mark", "--mark", _MARK, "-j", "MASQUERADE")),
)
_ENTRANCES: Final = (
    ("PREROUTING", _DNAT, ("-m", "addrtype", "--dst-type", "LOCAL", "-j", _DNAT)),
    ("OUTPUT", _DNAT, ("-m", "addrtype", "--dst-type", "LOCAL", "-j", _DNAT)),
    (
        "POSTROUTING",
        _MASQUERADE,
        ("-m", "comment", "--comment", "CNI portfwd requiring masquerade", "-j", _MASQUERADE),
    ),
)


def _ensure_common_chains(host: Host) -> None:
    """The chains that all containers share, and what leads into them; they stay (upstream never removes them)."""
    lines = _saved(host)
    for chain, rule in _COMMON:
        if not any(line.startswith(f":{chain} ") for line in lines):
            host.program(operations.IptablesCommand(arguments=("-t", "nat", "-N", chain)))
            if rule:
                host.program(operations.IptablesCommand(arguments=("-t", "nat", "-A", chain, *rule)))
    for start, target, rule in _ENTRANCES:
        if not any(line.startswith(f"-A {start} ") and line.endswith(f"-j {target}") for line in lines):
            command = "-I" if start == "POSTROUTING" else "-A"
            host.program(operations.IptablesCommand(arguments=("-t", "nat", command, start, *rule)))


def _map(host: Host, arguments: Arguments, chain: str, mapping: _Mapping, address: str) -> None:
    network = str(ipaddress.IPv4Interface(address).network)
    base = ["-p", mapping.protocol, "--dport", str(mapping.host_port)]
    if mapping.host_address not in _EVERYWHERE:
        base += ["-d", mapping.host_address]
    for source in (network, "127.0.0.1"):
        _iptables(host, arguments, "-A", chain, *base, "-s", source, "-j", _MARK_CHAIN)
    target = f"{address.partition('/')[0]}:{mapping.container_port}"
    _iptables(host, arguments, "-A", chain, *base, "-j", "DNAT", "--to-destination", target)


def _entry_rules(
    configuration: Configuration, arguments: Arguments, chain: str, mappings: Sequence[_Mapping]
) -> list[list[str]]:
    """One rule for up to 15 ports of a protocol."""
    comment = f'dnat name: "{configuration["name"]}" id: "{arguments.container}"'
    rules = []
    for protocol in sorted({mapping.protocol: None for mapping in mappings}):
        ports = [str(mapping.host_port) for mapping in mappings if mapping.protocol == protocol]
        for start in range(0, len(ports), _MOST_PORTS):
            chosen = ",".join(ports[start : start + _MOST_PORTS])
            match = ["-p", protocol, "-m", "multiport", "--destination-ports", chosen]
            rules.append(["-m", "comment", "--comment", comment, *match, "-j", chain])
    return rules


def _remove_chain(host: Host, chain: str) -> None:
    lines = _saved(host)
    if not any(line.startswith(f":{chain} ") for line in lines):
        return
    entries = [line for line in lines if line.startswith(f"-A {_DNAT} ")]
    for number in reversed(range(len(entries))):
        if entries[number].endswith(f"-j {chain}"):
            position = str(number + 1)
            host.program(operations.IptablesCommand(arguments=("-t", "nat", "-D", _DNAT, position)))
    host.program(operations.IptablesCommand(arguments=("-t", "nat", "-F", chain)))
    host.program(operations.IptablesCommand(arguments=("-t", "nat", "-X", chain)))
