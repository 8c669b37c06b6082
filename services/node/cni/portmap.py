"""The portmap plugin: ports of the machine that lead into pods, as DNAT rules in the machine's own kernel.

Source: containernetworking/plugins `plugins/meta/portmap/{portmap,portmap_iptables,chain}.go`, `pkg/utils/iptables.go`.
"""

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from podwire.proto.kube.families import IPV4, IPV6, family_of
from podwire.proto.messages import kernel as operations
from podwire.services.chassis.iptables import chains_of
from podwire.services.node.cni.plugin import (
    INVALID_CONFIGURATION,
    Arguments,
    Attachments,
    CniError,
    Configuration,
    Host,
    Result,
)

_DNAT: Final = "CNI-HOSTPORT-DNAT"
_MARK_CHAIN: Final = "CNI-HOSTPORT-SETMARK"
_MASQUERADE: Final = "CNI-HOSTPORT-MASQ"
_MARK: Final = "0x2000/0x2000"
_LONGEST_CHAIN: Final = 28
_MOST_PORTS: Final = 15
_EVERYWHERE: Final = ("", "0.0.0.0", "::")
_CONTAINER: Final = "CNI-DN-"
_FAMILIES: Final[dict[str, Literal["ipv4", "ipv6"]]] = {IPV4: "ipv4", IPV6: "ipv6"}
"""By the API's names the kernel's."""


@dataclass(frozen=True, slots=True)
class _Mapping:
    protocol: str
    host_port: int
    container_port: int
    host_address: str


@dataclass(frozen=True, slots=True)
class _Table:
    """The machine's nat table of one family."""

    host: Host
    family: Literal["ipv4", "ipv6"]

    def run(self, *words: str, owner: str = "") -> None:
        """One iptables or ip6tables call."""
        self.host.program(operations.IptablesCommand(arguments=("-t", "nat", *words), family=self.family, owner=owner))

    def lines(self) -> list[str]:
        """As iptables-save prints them, without the counters in front of rules."""
        text: str = self.host.program(operations.Read(kind="iptables-save", table="nat", family=self.family))
        return [line.partition("] ")[2] if line.startswith("[") else line for line in text.splitlines()]

    def chains(self) -> list[str]:
        """The names of its chains."""
        return chains_of("\n".join(self.lines()))


def add(host: Host, configuration: Configuration, arguments: Arguments, before: Result) -> Result:
    """Writes the rules of the ports that the runtime asks for; the result so far is passed on. Raises CniError."""
    mappings = _mappings(configuration)
    if not mappings:
        return before
    if not before.addresses:
        raise CniError("portmap: the previous plugin gave no address")
    for family in _FAMILIES:
        for address in before.addresses_of(family)[:1]:
            _map_all(_Table(host, _FAMILIES[family]), configuration, arguments, mappings, address.address)
    for device in before.interfaces[:1]:
        host.program(operations.SysctlWrite(key=f"net.ipv4.conf.{device}.route_localnet", value="1"))
    return before


def _map_all(
    table: _Table, configuration: Configuration, arguments: Arguments, mappings: list[_Mapping], address: str
) -> None:
    fitting = [mapping for mapping in mappings if _fits(mapping, table.family)]
    _ensure_common_chains(table)
    chain = _chain(configuration["name"], arguments.container)
    _remove_chain(table, chain)
    owner = f"Pod/{arguments.pod}"
    table.run("-N", chain, owner=owner)
    for mapping in fitting:
        for rule in _rules_of(mapping, address):
            table.run("-A", chain, *rule, owner=owner)
    for rule in _entry_rules(configuration, arguments, chain, fitting):
        table.run("-A", _DNAT, *rule, owner=owner)


def _fits(mapping: _Mapping, family: Literal["ipv4", "ipv6"]) -> bool:
    """A port of one address of the machine is one of that address's family."""
    return not mapping.host_address or _FAMILIES.get(family_of(mapping.host_address)) == family


def delete(host: Host, configuration: Configuration, arguments: Arguments) -> None:
    """Removes the container's chain and what leads into it; what is gone already is no error."""
    for family in _FAMILIES.values():
        _remove_chain(_Table(host, family), _chain(configuration["name"], arguments.container))


def check(host: Host, configuration: Configuration, arguments: Arguments, before: Result) -> None:
    """Whether the container's chains are there. Raises CniError."""
    chain = _chain(configuration["name"], arguments.container)
    for family, name in _FAMILIES.items():
        table = _Table(host, name)
        wanted = before.addresses_of(family) and _mappings(configuration)
        if wanted and chain not in table.chains():
            raise CniError(f"could not check ip{'6' if family == IPV6 else ''}tables dnat: chain {chain} not found")


def collect(host: Host, configuration: Configuration, valid: Attachments) -> None:
    """Removes the chains of containers that are no more."""
    kept = [_chain(configuration["name"], container) for container, _ in valid]
    for family in _FAMILIES.values():
        table = _Table(host, family)
        for chain in table.chains():
            if chain.startswith(_CONTAINER) and chain not in kept:
                _remove_chain(table, chain)


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


def _chain(network: str, container: str) -> str:
    """`CNI-DN-` and a hash of network and container, 28 characters in all (utils.MustFormatChainNameWithPrefix)."""
    digest = hashlib.sha512(f"{network}{container}".encode()).hexdigest()
    return f"{_CONTAINER}{digest}"[:_LONGEST_CHAIN]


# -- rules


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


def _ensure_common_chains(table: _Table) -> None:
    """The chains that all containers share, and what leads into them; they stay (upstream never removes them)."""
    lines = table.lines()
    for chain, rule in _COMMON:
        if not any(line.startswith(f":{chain} ") for line in lines):
            table.run("-N", chain)
            if rule:
                table.run("-A", chain, *rule)
    for start, target, rule in _ENTRANCES:
        if not any(line.startswith(f"-A {start} ") and line.endswith(f"-j {target}") for line in lines):
            table.run("-I" if start == "POSTROUTING" else "-A", start, *rule)


def _rules_of(mapping: _Mapping, address: str) -> list[list[str]]:
    """Over IPv4 the machine's own 127.0.0.1 leads into the container too; there is no such way over IPv6."""
    interface = ipaddress.ip_interface(address)
    base = ["-p", mapping.protocol, "--dport", str(mapping.host_port)]
    if mapping.host_address not in _EVERYWHERE:
        base += ["-d", mapping.host_address]
    sources = [str(interface.network), *(["127.0.0.1"] if interface.version == 4 else [])]
    host = f"[{interface.ip}]" if interface.version == 6 else str(interface.ip)
    marked = [[*base, "-s", source, "-j", _MARK_CHAIN] for source in sources]
    return [*marked, [*base, "-j", "DNAT", "--to-destination", f"{host}:{mapping.container_port}"]]


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


def _remove_chain(table: _Table, chain: str) -> None:
    lines = table.lines()
    if not any(line.startswith(f":{chain} ") for line in lines):
        return
    entries = [line for line in lines if line.startswith(f"-A {_DNAT} ")]
    for number in reversed(range(len(entries))):
        if entries[number].endswith(f"-j {chain}"):
            table.run("-D", _DNAT, str(number + 1))
    table.run("-F", chain)
    table.run("-X", chain)
