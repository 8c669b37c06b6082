"""Operations of ipvs mode: virtual services and their servers, addresses of kube-ipvs0, sets, a few iptables rules.

A full sync compares with what was read back. A server whose endpoint is gone gets weight 0 while TCP connections to it
last, and is deleted when they are over (graceful termination, pkg/proxy/ipvs/graceful_termination.go); servers of other
protocols are deleted at once.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple, cast

from podwire.proto.kube.families import host_port
from podwire.proto.messages import kernel as m
from podwire.proto.messages.kernel import IpvsService, Operation
from podwire.services.chassis.iptables import missing_jumps
from podwire.services.kube_proxy.core.claims import Claims
from podwire.services.kube_proxy.core.family import Family, address_of, host
from podwire.services.kube_proxy.core.fold import Change
from podwire.services.kube_proxy.core.ipvs import rules, sets
from podwire.services.kube_proxy.core.ipvs.block import EMPTY, Block, Frontend, Member, Server, Virtual, block
from podwire.services.kube_proxy.core.ports import PortKey, ServicePortState
from podwire.services.kube_proxy.core.rulebook import Observed
from podwire.services.kube_proxy.core.surroundings import Surroundings

DUMMY: Final = "kube-ipvs0"
GRACEFUL: Final = ("tcp",)
"""Protocols whose connections may end by themselves (IsRsGracefulTerminationNeeded)."""

_SYSCTLS: Final = ("conntrack", "expire_nodest_conn", "expire_quiescent_template")
Protocol = Literal["tcp", "udp", "sctp"]


class Drain(NamedTuple):
    """A server that gets no new connections."""

    frontend: Frontend
    server: Server


class IpvsBook:
    """What ipvs mode has written for one family."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._blocks: dict[PortKey, Block] = {}
        self._virtual: Claims[Frontend, Virtual] = Claims()
        self._members: Claims[Member, bool] = Claims()
        self._sizes: Counter[str] = Counter()
        """How many elements each set has."""
        self._bound: Claims[str, bool] = Claims()
        self._unreachable: Claims[Frontend, bool] = Claims()
        self._draining: dict[Drain, None] = {}
        self._node_addresses: tuple[str, ...] = ()
        self._text = ""

    @property
    def rules(self) -> Mapping[str, int]:
        """Rules of iptables, virtual services, elements of sets."""
        in_text = sum(line.startswith("-A ") for line in self._text.splitlines())
        return {"rules": in_text, "services": len(self._virtual), "elements": len(self._members)}

    # -- everything

    def full(self, states: Mapping[PortKey, ServicePortState], observed: Observed) -> list[Operation]:
        """What is missing, and what is there without being wanted."""
        self._node_addresses = _node_addresses(observed.addresses, self._around.family)
        self._claim_anew(states)
        held = {_frontend(each): each for each in observed.virtual_services if self._is_own(each)}
        bound = [address for address, device in observed.addresses.items() if device == DUMMY]
        self._text = self._rules_text()
        return [
            *self._prepared(observed),
            *self._compared_services(held),
            *(self._bind(address) for address in self._bound if address not in bound),
            *self._compared_sets(observed.ipsets),
            self._restore(),
            *missing_jumps(observed.iptables, rules.JUMPS, family=self._around.family),
            *(self._unbind(address) for address in bound if self._bound.get(address) is None),
            *(self._service_gone(frontend) for frontend in held if self._virtual.get(frontend) is None),
        ]

    def _claim_anew(self, states: Mapping[PortKey, ServicePortState]) -> None:
        self._blocks = {}
        self._virtual, self._members, self._bound, self._unreachable = Claims(), Claims(), Claims(), Claims()
        for key in sorted(states):
            self._replace(key, EMPTY, block(states[key], self._around, self._node_addresses))
        self._take()
        self._sizes = Counter(member.set for member in self._members)

    def _replace(self, key: PortKey, old: Block, new: Block) -> None:
        self._blocks[key] = new
        self._virtual.replace(key, old.virtual, new.virtual)
        self._bound.replace(key, old.bound, new.bound)
        self._unreachable.replace(key, old.unreachable, new.unreachable)
        self._members.replace(key, self._with_addresses(old), self._with_addresses(new))

    def _with_addresses(self, held: Block) -> dict[Member, bool]:
        """Addresses of kube-ipvs0 stand in a set too."""
        return held.members | {Member(sets.IPVS_IPS, address): True for address in held.bound}

    def _take(self) -> None:
        for claims in (self._virtual, self._members, self._bound, self._unreachable):
            claims.take()

    def _is_own(self, service: IpvsService) -> bool:
        return not service.fwmark and service.family == self._around.family

    def _prepared(self, observed: Observed) -> Iterator[Operation]:
        yield m.SysctlWrite(key="net.ipv4.ip_forward", value="1")
        for name in _SYSCTLS:
            yield m.SysctlWrite(key=f"net.ipv4.vs.{name}", value="1")
        if self._around.strict_arp:
            yield m.SysctlWrite(key="net.ipv4.conf.all.arp_ignore", value="1")
            yield m.SysctlWrite(key="net.ipv4.conf.all.arp_announce", value="2")
        if not observed.has_dummy:
            yield m.LinkAdd(kind="dummy", name=DUMMY)

    def _compared_services(self, held: Mapping[Frontend, IpvsService]) -> Iterator[Operation]:
        draining, self._draining = self._draining, {}
        for frontend, wanted in self._virtual.items():
            service = held.get(frontend)
            if service is None:
                yield from self._service_new(frontend, wanted)
                continue
            if (service.scheduler, service.persistent) != (self._around.scheduler, wanted.persistent):
                yield self._service(m.IpvsServiceSet, frontend, wanted)
            yield from self._compared_servers(frontend, wanted, service, draining)

    def _compared_servers(
        self, frontend: Frontend, wanted: Virtual, service: IpvsService, draining: Mapping[Drain, None]
    ) -> Iterator[Operation]:
        held = {(each.server, each.server_port): each for each in service.destinations}
        for server in wanted.servers:
            if server not in held:
                yield _server(m.IpvsDestinationAdd, frontend, server)
            elif held[server].weight != 1:
                yield _server(m.IpvsDestinationSet, frontend, server)
        for server, each in held.items():
            if server not in wanted.servers:
                idle = not each.active and not each.inactive
                yield from self._server_gone(frontend, server, idle=idle, drains=Drain(frontend, server) in draining)

    def _server_gone(self, frontend: Frontend, server: Server, *, idle: bool, drains: bool) -> Iterator[Operation]:
        if idle or frontend.protocol not in GRACEFUL:
            self._draining.pop(Drain(frontend, server), None)
            yield _server_removal(frontend, server)
        else:
            self._draining[Drain(frontend, server)] = None
            if not drains:
                yield _server(m.IpvsDestinationSet, frontend, server, weight=0)

    def _compared_sets(self, saved: str) -> Iterator[Operation]:
        present = _saved_sets(saved)
        lines: list[str] = []
        for name in sets.KINDS:
            own = sets.name_of(name, self._around.family)
            if own not in present:
                lines.append(sets.creation(name, self._around.family))
            wanted = {member.element: None for member in self._members if member.set == name}
            lines += [f"add {own} {element}" for element in wanted if element not in present.get(own, {})]
            lines += [f"del {own} {element}" for element in present.get(own, {}) if element not in wanted]
        if lines:
            yield m.IpsetRestore(text="\n".join(lines) + "\n")

    # -- what changed

    def update(self, changes: Sequence[Change]) -> list[Operation]:
        """The services, servers, addresses and elements that changed; `follow_up` asks about what drains."""
        for change in changes:
            old = self._blocks.pop(change.key, EMPTY)
            new = EMPTY if change.after is None else block(change.after, self._around, self._node_addresses)
            self._replace(change.key, old, new)
            if change.after is None:
                del self._blocks[change.key]
        virtual, bound = self._virtual.take(), self._bound.take()
        members, _ = self._members.take(), self._unreachable.take()
        for member, (earlier, now) in members.items():
            self._sizes[member.set] += (now is not None) - (earlier is not None)
        before, self._text = self._text, self._rules_text()
        return [
            *(each for frontend, pair in virtual.items() for each in self._service_changed(frontend, *pair)),
            *(self._bind(address) for address, (_, after) in bound.items() if after),
            *self._members_changed(members, added=True),
            *([self._restore()] if self._text != before else []),
            *self._members_changed(members, added=False),
            *(self._unbind(address) for address, (_, after) in bound.items() if not after),
            *(self._service_gone(frontend) for frontend, (_, after) in virtual.items() if after is None),
        ]

    def _service_changed(self, frontend: Frontend, old: Virtual | None, new: Virtual | None) -> Iterator[Operation]:
        if new is None:
            return
        if old is None:
            yield from self._service_new(frontend, new)
            return
        if old.persistent != new.persistent:
            yield self._service(m.IpvsServiceSet, frontend, new)
        for server in new.servers:
            if Drain(frontend, server) in self._draining:
                del self._draining[Drain(frontend, server)]
                yield _server(m.IpvsDestinationSet, frontend, server)
            elif server not in old.servers:
                yield _server(m.IpvsDestinationAdd, frontend, server)
        for server in old.servers:
            if server not in new.servers:
                yield from self._server_gone(frontend, server, idle=False, drains=False)

    def _members_changed(
        self, members: Mapping[Member, tuple[bool | None, bool | None]], *, added: bool
    ) -> Iterator[Operation]:
        verb = "add" if added else "del"
        lines = [
            f"{verb} {sets.name_of(member.set, self._around.family)} {member.element}"
            for member, (_, after) in members.items()
            if bool(after) == added
        ]
        if lines:
            yield m.IpsetRestore(text="\n".join(lines) + "\n")

    # -- graceful termination

    def follow_up(self) -> list[m.Read]:
        """What to ask about servers that drain."""
        frontends = dict.fromkeys(drain.frontend for drain in self._draining)
        return [m.Read(kind="ipvs-services", service=f"{f.protocol} {host_port(f.address, f.port)}") for f in frontends]

    def followed(self, services: Iterable[IpvsService]) -> list[Operation]:
        """Deletes those whose connections are over."""
        found: list[Operation] = []
        for service in services:
            frontend = _frontend(service)
            for each in service.destinations:
                drain = Drain(frontend, (each.server, each.server_port))
                if drain in self._draining and not each.active and not each.inactive:
                    del self._draining[drain]
                    found.append(_server_removal(*drain))
        return found

    # -- single operations

    def _rules_text(self) -> str:
        used = [name for name, size in self._sizes.items() if size]
        return rules.text(self._around, used, sorted(self._unreachable))

    def _restore(self) -> Operation:
        return m.IptablesRestore(text=self._text, family=self._around.family, noflush=True)

    def _bind(self, address: str) -> Operation:
        return m.AddressAdd(device=DUMMY, address=host(address, self._around.family))

    def _unbind(self, address: str) -> Operation:
        return m.AddressDelete(device=DUMMY, address=host(address, self._around.family))

    def _service_new(self, frontend: Frontend, wanted: Virtual) -> Iterator[Operation]:
        yield self._service(m.IpvsServiceAdd, frontend, wanted)
        yield from (_server(m.IpvsDestinationAdd, frontend, server) for server in wanted.servers)

    def _service(
        self, kind: type[m.IpvsServiceAdd] | type[m.IpvsServiceSet], frontend: Frontend, wanted: Virtual
    ) -> Operation:
        return kind(
            protocol=cast(Protocol, frontend.protocol),
            address=frontend.address,
            port=frontend.port,
            scheduler=self._around.scheduler,
            persistent=wanted.persistent,
            schedule_flags=("mh-port",) if self._around.scheduler == "mh" else (),
        )

    def _service_gone(self, frontend: Frontend) -> Operation:
        for drain in [drain for drain in self._draining if drain.frontend == frontend]:
            del self._draining[drain]
        protocol = cast(Protocol, frontend.protocol)
        return m.IpvsServiceDelete(protocol=protocol, address=frontend.address, port=frontend.port)


def _server(
    kind: type[m.IpvsDestinationAdd] | type[m.IpvsDestinationSet], frontend: Frontend, server: Server, weight: int = 1
) -> Operation:
    return kind(
        protocol=cast(Protocol, frontend.protocol),
        address=frontend.address,
        port=frontend.port,
        server=server[0],
        server_port=server[1],
        weight=weight,
    )


def _server_removal(frontend: Frontend, server: Server) -> Operation:
    return m.IpvsDestinationDelete(
        protocol=cast(Protocol, frontend.protocol),
        address=frontend.address,
        port=frontend.port,
        server=server[0],
        server_port=server[1],
    )


def _frontend(service: IpvsService) -> Frontend:
    return Frontend(service.protocol, address_of(service.address)[1], service.port)


def _node_addresses(addresses: Mapping[str, str], family: Family) -> tuple[str, ...]:
    """The node's own, neither of kube-ipvs0 nor loopback nor link-local (GetAllLocalAddressesExcept)."""
    kept = (address for address, device in addresses.items() if device != DUMMY)
    return tuple(a for a in kept if not a.startswith(("127.", "fe80:")) and a != "::1" and address_of(a)[0] == family)


def _saved_sets(saved: str) -> dict[str, dict[str, None]]:
    """The elements of each set in what `ipset save` prints."""
    found: dict[str, dict[str, None]] = {}
    for line in saved.splitlines():
        words = line.split()
        if words[:1] == ["create"]:
            found[words[1]] = {}
        elif words[:1] == ["add"]:
            found[words[1]][words[2]] = None
    return found
