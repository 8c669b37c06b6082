"""Rules of a Service's clusterIPs, ipFamilies and ipFamilyPolicy.

Source: kubernetes `pkg/apis/core/validation/validation.go` (ValidateServiceClusterIPsRelatedFields,
validateUpgradeDowngradeClusterIPs, validateUpgradeDowngradeIPFamilies).
"""

from typing import Final

from podwire.proto.kube.families import IPV4, IPV6, family_of
from podwire.proto.kube.json_objects import items
from podwire.services.apiserver.core import names
from podwire.services.apiserver.core.errors import FieldErrors
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.validation.metadata import one_of

POLICIES: Final = ["PreferDualStack", "RequireDualStack", "SingleStack"]
_ADDRESSES: Final = "spec.clusterIPs"
_FAMILIES: Final = "spec.ipFamilies"
_POLICY: Final = "spec.ipFamilyPolicy"


def related_fields(spec: Json, errors: FieldErrors) -> None:
    """What can be said of the fields without knowing the cluster; an ExternalName has none of them."""
    addresses = items(spec, "clusterIPs")
    if spec.get("type") == "ExternalName":
        return
    _singular_and_plural(spec, addresses, errors)
    families = items(spec, "ipFamilies")
    for index, family in enumerate(families):
        if family not in (IPV4, IPV6):
            errors.unsupported(f"{_FAMILIES}[{index}]", family, [IPV4, IPV6])
        if family in families[:index]:
            errors.duplicate(f"{_FAMILIES}[{index}]", family)
    one_of(spec, "ipFamilyPolicy", POLICIES, "spec", errors)
    if _are_addresses(addresses, errors):
        _one_of_each_family(addresses, families, errors)


def _singular_and_plural(spec: Json, addresses: list[str], errors: FieldErrors) -> None:
    single = spec.get("clusterIP")
    if single and not addresses:
        errors.required(_ADDRESSES)
    elif single and addresses[0] != single:
        errors.invalid(_ADDRESSES, addresses, "first value must match `clusterIP`")
    elif addresses and not single:
        errors.invalid(_ADDRESSES, addresses, "must be empty when `clusterIP` is not specified")


def _are_addresses(addresses: list[str], errors: FieldErrors) -> bool:
    """Whether all are addresses, or None alone."""
    valid = True
    for index, address in enumerate(addresses):
        if index == 0 and address == "None":
            if len(addresses) > 1:
                errors.invalid(_ADDRESSES, addresses, "'None' must be the first and only value")
                valid = False
            continue
        for problem in names.ip_address(address):
            errors.invalid(f"{_ADDRESSES}[{index}]", address, problem)
            valid = False
    if len(addresses) > 2:
        errors.invalid(_ADDRESSES, addresses, "may only hold up to 2 values")
    return valid


def _one_of_each_family(addresses: list[str], families: list[str], errors: FieldErrors) -> None:
    found = [family_of(address) for address in addresses]
    if len(addresses) > 1 and sorted(found) != [IPV4, IPV6]:
        errors.invalid(_ADDRESSES, addresses, "may specify no more than one IP for each IP family")
    for index, (address, family) in enumerate(zip(addresses, families, strict=False)):
        if address != "None" and family in (IPV4, IPV6) and family != found[index]:
            text = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
            errors.invalid(f"{_ADDRESSES}[{index}]", address, text)


def change(spec: Json, old: Json, errors: FieldErrors) -> None:
    """An update: what is there first stays; the second comes and goes with the policy."""
    if "ExternalName" in (spec.get("type"), old.get("type")):
        return
    headless, was_headless = _is_headless(spec), _is_headless(old)
    if not (headless and was_headless):
        _change(spec, items(old, "clusterIPs"), items(spec, "clusterIPs"), "clusterIP", errors)
    if not headless and not was_headless:
        _change(spec, items(old, "ipFamilies"), items(spec, "ipFamilies"), "ipFamily", errors)


def _is_headless(spec: Json) -> bool:
    return items(spec, "clusterIPs") == ["None"]


def _change(spec: Json, before: list[str], after: list[str], what: str, errors: FieldErrors) -> None:
    path = _ADDRESSES if what == "clusterIP" else _FAMILIES
    if len(before) == len(after):
        for index, (earlier, later) in enumerate(zip(before, after, strict=True)):
            if earlier != later:
                errors.invalid(f"{path}[{index}]", after, "may not change once set")
        return
    if not after:
        errors.invalid(f"{path}[0]", after, f"primary {what} can not be unset")
    if before[:1] and after[:1] and before[0] != after[0]:
        errors.invalid(f"{path}[0]", after, "may not change once set")
    if len(before) > len(after) == 1 and spec.get("ipFamilyPolicy") != "SingleStack":
        text = f"must be set to 'SingleStack' when releasing the secondary {what}"
        errors.invalid(_POLICY, spec.get("ipFamilyPolicy"), text)
