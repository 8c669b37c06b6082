"""IP sets, the three kinds that Kubernetes' programs use: hash:ip, hash:ip,port, hash:net (ipset(8))."""

from podwire.proto.packet.addresses import format_address, parse_prefix, prefix_mask
from podwire.proto.packet.errors import PacketError
from podwire.services.node.kernel.netfilter.errors import NetfilterError
from podwire.services.node.kernel.netfilter.tables import Netfilter
from podwire.services.node.kernel.netfilter.words import parse_port
from podwire.services.node.kernel.packet import Packet

KINDS = ("hash:ip", "hash:ip,port", "hash:net")
_PROTOCOLS = {"tcp": 6, "udp": 17}
type Member = tuple[int, int, int, int]
"""(address, prefix length, protocol, port); unused parts are 32, 0 and 0."""


class IpSet:
    """One set, bounded by `maxelem`."""

    def __init__(self, name: str, kind: str, maxelem: int = 65536) -> None:
        self.name = name
        self.kind = kind
        self.maxelem = maxelem
        self.members: dict[Member, None] = {}
        self._lengths: dict[int, int] = {}

    def copy(self) -> "IpSet":
        """An independent copy."""
        twin = IpSet(self.name, self.kind, self.maxelem)
        twin.members, twin._lengths = dict(self.members), dict(self._lengths)
        return twin

    def add(self, member: Member) -> bool:
        """Add a member; false if it is there already."""
        if member in self.members:
            return False
        if len(self.members) >= self.maxelem:
            raise NetfilterError("Hash is full, cannot add more elements")
        self.members[member] = None
        self._lengths[member[1]] = self._lengths.get(member[1], 0) + 1
        return True

    def remove(self, member: Member) -> bool:
        """Take a member out; false if it is not there."""
        if self.members.pop(member, 0) == 0:
            return False
        self._lengths[member[1]] -= 1
        return True

    def contains(self, packet: Packet, directions: tuple[str, ...]) -> bool:
        """Whether the packet's address (and port), taken from the sides that `directions` name, is in the set."""
        address = packet.source if directions[0] == "src" else packet.destination
        if self.kind == "hash:ip":
            return (address, 32, 0, 0) in self.members
        if self.kind == "hash:ip,port":
            side = directions[-1]
            port = packet.source_port if side == "src" else packet.destination_port
            return (address, 32, packet.protocol, port) in self.members
        return any(
            count and (address & prefix_mask(length), length, 0, 0) in self.members
            for length, count in self._lengths.items()
        )

    def parse(self, text: str) -> Member:
        """A member of this set's kind from its text; NetfilterError if it is none."""
        address_text, comma, port_text = text.partition(",")
        try:
            address, length = parse_prefix(address_text)
        except PacketError as error:
            raise NetfilterError(f"Syntax error: cannot parse {text}: {error.reason}") from None
        if self.kind != "hash:net" and length != 32:
            raise NetfilterError(f"Syntax error: plain IP address must be supplied: {text}")
        if bool(comma) != (self.kind == "hash:ip,port"):
            raise NetfilterError(f"Syntax error: {text} does not fit type {self.kind}")
        if not comma:
            return (address & prefix_mask(length), length, 0, 0)
        protocol, colon, port = port_text.partition(":")
        if not colon:
            protocol, port = "tcp", protocol
        if protocol not in _PROTOCOLS:
            raise NetfilterError(f"Syntax error: cannot parse protocol {protocol}")
        return (address, 32, _PROTOCOLS[protocol], parse_port(port))

    def format(self, member: Member) -> str:
        """A member's text, as `ipset list` prints it."""
        address, length, protocol, port = member
        text = format_address(address) + (f"/{length}" if length < 32 else "")
        return text + (f",{'tcp' if protocol == 6 else 'udp'}:{port}" if self.kind == "hash:ip,port" else "")


def restore(netfilter: Netfilter, text: str) -> None:
    """Apply `ipset restore` text: create, add, del, flush, destroy (with -exist); all of it or nothing."""
    sets = {name: each.copy() for name, each in netfilter.sets.items()}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#") or words[0] == "COMMIT":
            continue
        exist = any(word in ("-exist", "-!") for word in words)
        try:
            _run(netfilter, sets, [word for word in words if word not in ("-exist", "-!")], exist)
        except NetfilterError as error:
            raise NetfilterError(f"ipset: Error in line {number}: {error.message}", number) from None
    netfilter.sets = sets
    netfilter.install({})


def _run(netfilter: Netfilter, sets: dict[str, IpSet], words: list[str], exist: bool) -> None:
    command, name = words[0], words[1] if len(words) > 1 else ""
    if command == "create":
        return _create(sets, words, exist)
    if name not in sets:
        raise NetfilterError("The set with the given name does not exist")
    if command in ("add", "del") and len(words) > 2:
        member = sets[name].parse(words[2])
        done = sets[name].add(member) if command == "add" else sets[name].remove(member)
        if not done and not exist:
            already = "it's already added" if command == "add" else "it's not added"
            raise NetfilterError(
                f"Element cannot be {'added to' if command == 'add' else 'deleted from'} the set: {already}"
            )
        return None
    if command == "flush":
        sets[name] = IpSet(name, sets[name].kind, sets[name].maxelem)
        return None
    if command == "destroy":
        if _used(netfilter, name):
            raise NetfilterError("Set cannot be destroyed: it is in use by a kernel component")
        del sets[name]
        return None
    raise NetfilterError(f"Unknown argument {command}")


def _create(sets: dict[str, IpSet], words: list[str], exist: bool) -> None:
    if len(words) < 3 or words[2] not in KINDS:
        raise NetfilterError(f"Syntax error: unknown settype {' '.join(words[2:3])}")
    name, kind = words[1], words[2]
    if name in sets:
        if not exist or sets[name].kind != kind:
            raise NetfilterError("Set cannot be created: set with the same name already exists")
        return
    if len(name) > 31:
        raise NetfilterError("Syntax error: setname is longer than 31 characters")
    sets[name] = IpSet(name, kind)


def _used(netfilter: Netfilter, name: str) -> bool:
    return any(
        getattr(match, "set", None) == name
        for table in netfilter.tables.values()
        for chain in table.chains.values()
        for rule in chain.rules
        for match in rule.matches
    )
