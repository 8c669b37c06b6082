"""What every plugin gets and gives (CNI specification 1.1.0)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from podwire.proto.kube.families import family_of
from podwire.proto.messages import kernel as operations
from podwire.services.chassis.chance import RandomBits
from podwire.services.node.files import Files
from podwire.services.node.kernel.errors import KernelError
from podwire.services.node.kernel.programming import apply_operation
from podwire.services.node.shell import KernelShell

Configuration = Mapping[str, Any]
Attachments = frozenset[tuple[str, str]]
"""Container ids and interfaces that are in use (`cni.dev/valid-attachments`)."""
INVALID_CONFIGURATION: Final = 7
GENERIC: Final = 999


class CniError(Exception):
    """A plugin's error result: a code of the specification and a message."""

    def __init__(self, message: str, code: int = GENERIC) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Arguments:
    """CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME and CNI_ARGS."""

    container: str
    namespace: str
    interface: str
    pod: str


@dataclass(slots=True)
class Host:
    """The machine as a plugin sees it: its files and its kernel."""

    files: Files
    shell: KernelShell
    random: RandomBits

    def program(self, operation: operations.Operation) -> Any:
        """One kernel operation. Raises CniError with the kernel's message."""
        try:
            with self.shell.turn() as kernel:
                return apply_operation(kernel, operation)
        except KernelError as error:
            raise CniError(str(error.strerror)) from None

    def addresses(self, namespace: str = "") -> dict[tuple[str, str], None]:
        """Device and address, with its prefix length, of every address of a namespace, of both families."""
        found: list[operations.LinkAddress] = [
            *self.program(operations.Read(netns=namespace, kind="addresses")),
            *self.program(operations.Read(netns=namespace, kind="addresses", family="ipv6")),
        ]
        return dict.fromkeys((entry.device, entry.address) for entry in found)

    def links(self, namespace: str = "") -> dict[str, operations.Link]:
        """The devices of a namespace, by name."""
        found: list[operations.Link] = self.program(operations.Read(netns=namespace, kind="links"))
        return {link.name: link for link in found}


@dataclass(frozen=True, slots=True)
class Address:
    """An address with its prefix length, and its gateway."""

    address: str
    gateway: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """A route into the pod's namespace."""

    destination: str
    gateway: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """A plugin's success result."""

    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    interfaces: tuple[str, ...] = field(default=())

    def addresses_of(self, family: str) -> tuple[Address, ...]:
        """Those of a family."""
        return tuple(entry for entry in self.addresses if family_of(entry.address) == family)
