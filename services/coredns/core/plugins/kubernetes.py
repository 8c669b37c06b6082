"""plugin/kubernetes: the names of the cluster."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import dns.rcode
import dns.rdatatype
import dns.rrset

from podwire.proto.kube.labels import LabelSelector, parse_term, split_terms
from podwire.services.coredns.core.cluster import Cluster, canonical
from podwire.services.coredns.core.corefile import Directive, ServerBlock
from podwire.services.coredns.core.lookup import (
    DEFAULT_NS,
    SVC,
    Found,
    NoSuchName,
    Options,
    find,
    find_name_servers,
    find_pointers,
    is_reverse,
)
from podwire.services.coredns.core.query import AAAA, A, Follow, Message, Query, Steps, reply, reverse_address, rrset
from podwire.services.coredns.core.zones import Fallthrough, fallthrough, is_below, matching, normalized, without_zone

SCHEMA_VERSION: Final = "1.1.0"
_VERSION_TTL: Final = 28800
_LONGEST_SOA_TTL: Final = 300
_LONGEST_ALIAS_CHAIN: Final = 8
_LABEL: Final = re.compile(r"([A-Za-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_VALUE: Final = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
"""Keys and values of labels (apimachinery util/validation)."""
_NOT_BUILT: Final = ("endpoint", "tls", "kubeconfig", "multicluster")


@dataclass(slots=True)
class Kubernetes:
    """One `kubernetes` directive."""

    cluster: Cluster
    zones: tuple[str, ...]
    options: Options
    ttl: int = 5
    fall: Fallthrough = field(default_factory=Fallthrough)
    own_addresses: tuple[str, ...] = ()
    resolve: Follow | None = None
    """The whole server, for the targets of aliases outside of the cluster."""

    def serve(self, query: Query, follow: Follow) -> Steps:
        """An answer with authority for names in the zones, the next plugin's for others."""
        zone = matching(self.zones, query.name)
        if not zone:
            return (yield from follow(query))
        response = reply(query, authoritative=True)
        try:
            yield from self._answer(query, zone, response)
        except NoSuchName:
            if self.fall.passes(query.name):
                return (yield from follow(query))
            response.set_rcode(dns.rcode.NXDOMAIN if self.cluster.synced else dns.rcode.SERVFAIL)
        if not response.answer:
            response.authority.append(self._soa(zone))
        return response

    def _answer(self, query: Query, zone: str, response: Message) -> Steps:
        match query.kind:
            case dns.rdatatype.PTR if is_reverse(query.name):
                self._pointers(query, response)
            case dns.rdatatype.TXT:
                self._text(query, zone, response)
            case dns.rdatatype.SRV:
                self._services(self._find(query.name, zone), query, response)
            case dns.rdatatype.SOA if query.name == zone:
                response.answer.append(self._soa(zone))
            case dns.rdatatype.NS if query.name == zone:
                self._name_servers(zone, response)
            case dns.rdatatype.A | dns.rdatatype.AAAA | dns.rdatatype.CNAME:
                yield from self._addresses(query, zone, response)
            case _:
                self._find(query.name, zone)
        return response

    def _find(self, name: str, zone: str) -> list[Found]:
        if name == f"{DEFAULT_NS}{zone}":
            return [Found(address, 0, owner) for owner, address in self._servers(zone)]
        return find(self.cluster, self.options, name, zone)

    # -- addresses

    def _addresses(self, query: Query, zone: str, response: Message) -> Steps:
        """A, AAAA or CNAME records; aliases are followed, within the zone here, else through the whole server."""
        name = query.name
        for _ in range(_LONGEST_ALIAS_CHAIN):
            found = self._find(name, zone)
            alias = next((entry.host for entry in found if not canonical(entry.host)), "")
            if not alias:
                self._add(response, name, query.kind, (entry.host for entry in found))
                break
            response.answer.append(rrset(name, self.ttl, "CNAME", alias))
            if query.kind == dns.rdatatype.CNAME or alias == name:
                break
            if not is_below(zone, alias):
                yield from self._outside(query, alias, response)
                break
            try:
                self._find(alias, zone)
            except NoSuchName:
                break
            name = alias
        return response

    def _outside(self, query: Query, alias: str, response: Message) -> Steps:
        if self.resolve is not None:
            answer = yield from self.resolve(query.asking(alias))
            response.answer += answer.answer
        return response

    def _add(self, response: Message, name: str, kind: dns.rdatatype.RdataType, addresses: Iterable[str]) -> None:
        wanted = ":" if kind == AAAA else "."
        texts = list(dict.fromkeys(address for address in addresses if wanted in address))
        if texts and kind in (A, AAAA):
            response.answer.append(rrset(name, self.ttl, dns.rdatatype.to_text(kind), *texts))

    # -- other types

    def _services(self, found: list[Found], query: Query, response: Message) -> None:
        """SRV records with the addresses of their targets (backend_lookup.go, SRV)."""
        entries = [entry for entry in found if entry.port > 0 and canonical(entry.host)]
        targets = dict.fromkeys((entry.port, entry.target) for entry in entries)
        weight = max(1, 100 // len(entries)) if entries else 0
        texts = [f"0 {weight} {port} {target}" for port, target in targets]
        if texts:
            response.answer.append(rrset(query.name, self.ttl, "SRV", *texts))
        for target, host in dict.fromkeys((entry.target, entry.host) for entry in entries):
            kind = "AAAA" if ":" in host else "A"
            response.additional.append(rrset(target, self.ttl, kind, host))

    def _pointers(self, query: Query, response: Message) -> None:
        address = reverse_address(query)
        names = find_pointers(self.cluster, self.options, address) if address else []
        if not names:
            raise NoSuchName
        response.answer.append(rrset(query.name, self.ttl, "PTR", *names))

    def _text(self, query: Query, zone: str, response: Message) -> None:
        if without_zone(query.name, zone) == "dns-version":
            response.answer.append(rrset(query.name, _VERSION_TTL, "TXT", f'"{SCHEMA_VERSION}"'))
        else:
            self._find(query.name, zone)

    def _servers(self, zone: str) -> list[tuple[str, str]]:
        return find_name_servers(self.cluster, self.options, self.own_addresses)

    def _name_servers(self, zone: str, response: Message) -> None:
        servers = self._servers(zone)
        response.answer.append(rrset(zone, self.ttl, "NS", *dict.fromkeys(name for name, _ in servers)))
        for name, address in servers:
            kind = "AAAA" if ":" in address else "A"
            response.additional.append(rrset(name, self.ttl, kind, address))

    def _soa(self, zone: str) -> dns.rrset.RRset:
        text = f"{DEFAULT_NS}{zone} hostmaster.{zone} {self.cluster.serial} 7200 1800 86400 {self.ttl}"
        return rrset(zone, min(self.ttl, _LONGEST_SOA_TTL), "SOA", text)

    # -- for autopath

    def search_path(self, query: Query, host_search: tuple[str, ...]) -> tuple[str, ...]:
        """The search list of the pod that asks; empty if it is none (autopath.go)."""
        pod = next(self.cluster.pods_at(canonical(query.client[0])), None)
        if pod is None:
            return ()
        zone = self.options.zone
        return f"{pod.metadata.namespace}.{SVC}.{zone}", f"{SVC}.{zone}", zone, *host_search, ""


# -- configuration


def configure(directive: Directive, block: ServerBlock, cluster: Cluster) -> Kubernetes:
    """The plugin of a directive. Raises CorefileError."""
    zones = _zones(directive, block)
    forward = [zone for zone in zones if not is_reverse(f".{zone}")]
    if not forward:
        raise directive.error("non-reverse zone name must be used")
    given: dict[str, tuple[str, ...]] = {}
    for name, *arguments in directive.block:
        if name in _NOT_BUILT:
            raise directive.error(f"property '{name}' is not built")
        if name not in _READ and name not in ("ttl", "fallthrough"):
            raise directive.error(f"unknown property '{name}'")
        given[name] = tuple(arguments)
    if "namespaces" in given and "namespace_labels" in given:
        raise directive.error("namespaces and namespace_labels cannot both be set")
    read = {_FIELDS[name]: _READ[name](directive, given[name]) for name in _READ if name in given}
    return Kubernetes(
        cluster=cluster,
        zones=zones,
        options=Options(zone=forward[0], **read),  # type: ignore[arg-type]  # each reader gives its field's type
        ttl=_ttl(directive, given.get("ttl", ("5",))),
        fall=fallthrough(given["fallthrough"]) if "fallthrough" in given else Fallthrough(),
    )


def _zones(directive: Directive, block: ServerBlock) -> tuple[str, ...]:
    try:
        return tuple(normalized(zone) for zone in directive.arguments or block.zones)
    except ValueError as error:
        raise directive.error(str(error)) from None


def _pods(directive: Directive, arguments: tuple[str, ...]) -> str:
    if len(arguments) != 1:
        raise directive.wrong_arguments()
    if arguments[0] not in ("disabled", "verified", "insecure"):
        raise directive.error(f"wrong value for pods: {arguments[0]},  must be one of: disabled, verified, insecure")
    return arguments[0]


def _namespaces(directive: Directive, arguments: tuple[str, ...]) -> frozenset[str]:
    if not arguments:
        raise directive.wrong_arguments()
    return frozenset(arguments)


def _selector(directive: Directive, arguments: tuple[str, ...]) -> LabelSelector:
    """A label selector, which may have spaces."""
    terms = split_terms(" ".join(arguments))
    if not terms:
        raise directive.wrong_arguments()
    selector = tuple(parse_term(term) for term in terms)
    for term, each in zip(terms, selector, strict=True):
        if not _LABEL.fullmatch(each.key) or not all(_VALUE.fullmatch(value) for value in each.values):
            raise directive.error(f"unable to parse label selector value: {' '.join(arguments)!r}: {term!r} is no term")
    return selector


def _ignore(directive: Directive, arguments: tuple[str, ...]) -> bool:
    if arguments != ("empty_service",):
        raise directive.error(f"unable to parse ignore value: '{' '.join(arguments)}'")
    return True


def _flag(directive: Directive, arguments: tuple[str, ...]) -> bool:
    if arguments:
        raise directive.wrong_arguments()
    return True


def _ttl(directive: Directive, arguments: tuple[str, ...]) -> int:
    if len(arguments) != 1 or not arguments[0].isdecimal():
        raise directive.wrong_arguments()
    if int(arguments[0]) > 3600:
        raise directive.error(f"ttl must be in range [0, 3600]: {arguments[0]}")
    return int(arguments[0])


_READ: Final[dict[str, Callable[[Directive, tuple[str, ...]], object]]] = {
    "pods": _pods,
    "namespaces": _namespaces,
    "ignore": _ignore,
    "endpoint_pod_names": _flag,
    "labels": _selector,
    "namespace_labels": _selector,
    "noendpoints": lambda directive, arguments: not _flag(directive, arguments),
}
_FIELDS: Final = {
    "pods": "pods",
    "namespaces": "namespaces",
    "ignore": "ignore_empty_service",
    "endpoint_pod_names": "endpoint_pod_names",
    "labels": "labels",
    "namespace_labels": "namespace_labels",
    "noendpoints": "endpoints",
}
