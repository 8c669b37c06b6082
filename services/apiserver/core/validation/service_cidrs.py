"""Rules of ServiceCIDRs (`pkg/apis/networking/validation/validation.go`, ValidateServiceCIDR and its update)."""

import ipaddress

from podwire.proto.kube.json_objects import items, section
from podwire.services.apiserver.core.errors import FieldErrors
from podwire.services.apiserver.core.json_types import Json

_PATH = "spec.cidrs"


def service_cidr(value: Json, old: Json | None, errors: FieldErrors) -> None:
    """A ServiceCIDR: one network, or one of each family; a second one may be added, nothing else changes."""
    cidrs = items(section(value, "spec"), "cidrs")
    if not cidrs:
        errors.required(_PATH, "at least one CIDR required")
    elif len(cidrs) > 2:
        errors.invalid(_PATH, section(value, "spec"), "may only hold up to 2 values")
    elif old is not None:
        _unchanged(cidrs, items(section(old, "spec"), "cidrs"), errors)
    else:
        _networks(value, cidrs, errors)


def _networks(value: Json, cidrs: list[str], errors: FieldErrors) -> None:
    versions = [_version(cidr) for cidr in cidrs]
    if len(cidrs) == 2 and sorted(versions) != [4, 6]:
        example = "i.e 192.168.0.0/24 and 2001:db8::/64"
        errors.invalid(_PATH, section(value, "spec"), f"may specify no more than one IP for each IP family, {example}")
        return
    for index, (cidr, version) in enumerate(zip(cidrs, versions, strict=True)):
        if not version:
            errors.invalid(f"{_PATH}[{index}]", cidr, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")


def _version(cidr: str) -> int:
    """The IP version of a network; 0 of text that is none."""
    try:
        return ipaddress.ip_network(cidr).version if "/" in cidr else 0
    except ValueError:
        return 0


def _unchanged(cidrs: list[str], before: list[str], errors: FieldErrors) -> None:
    added = cidrs[len(before) :]
    if cidrs[: len(before)] != before or (added and sorted([_version(added[0]), _version(before[0])]) != [4, 6]):
        errors.invalid(_PATH, cidrs, "field is immutable")
