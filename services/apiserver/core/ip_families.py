"""Which IP families a Service has: its policy, what it asks for, and what the cluster is configured for.

Source: kubernetes `pkg/registry/core/service/storage/alloc.go` (initIPFamilyFields).
"""

from typing import Final

from podwire.proto.kube.families import IPV4, IPV6, family_of
from podwire.proto.kube.json_objects import items
from podwire.services.apiserver.core.errors import FieldErrors
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.validation import ip_families as rules

_POLICY: Final = "spec.ipFamilyPolicy"
_OTHER: Final = {IPV4: IPV6, IPV6: IPV4}
_FIELDS: Final = ("clusterIPs", "ipFamilies")


def settle(spec: Json, old: Json, configured: list[str], errors: FieldErrors) -> bool:
    """Fills in a Service's policy and families (`old` is its spec before, or empty); False where they cannot be.

    `configured` are the cluster's families, its default one first.
    """
    if spec.get("type") == "ExternalName":
        return True
    if is_kept(spec, old):
        return True
    spec.setdefault("ipFamilyPolicy", old.get("ipFamilyPolicy") or _default_policy(spec))
    related = FieldErrors()
    rules.related_fields(spec, related)
    if related.found:
        return False  # validation reports them
    known = len(errors.found)
    _release_or_keep(spec, old, errors)
    _fit_policy(spec, errors)
    _infer_families(spec, configured, errors)
    if len(errors.found) == known and not _is_open(spec):
        _check_configured(spec, configured, errors)
    if len(errors.found) > known:
        return False
    _complete(spec, configured)
    return True


def is_kept(spec: Json, old: Json) -> bool:
    """Whether an update leaves a PreferDualStack Service as it was: it follows no change of the cluster
    (isMatchingPreferDualStackClusterIPFields)."""
    same = all(items(spec, name) == items(old, name) for name in _FIELDS) and spec.get("type") == old.get("type")
    return same and spec.get("ipFamilyPolicy") == old.get("ipFamilyPolicy") == "PreferDualStack"


def _is_open(spec: Json) -> bool:
    """A headless Service without a selector: others fill in its endpoints, of whatever family."""
    return spec.get("clusterIP") == "None" and not spec.get("selector")


def _default_policy(spec: Json) -> str:
    return "RequireDualStack" if _is_open(spec) else "SingleStack"


def _release_or_keep(spec: Json, old: Json, errors: FieldErrors) -> None:
    """An update to SingleStack lets the second of each go; without it they may not be left out."""
    for name, what in (("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")):
        before, after = items(old, name), items(spec, name)
        if spec["ipFamilyPolicy"] == "SingleStack":
            if before == after and len(after) > 1:
                spec[name] = after[:1]
        elif 0 < len(after) < len(before) and before[: len(after)] == after:
            errors.invalid(_POLICY, spec["ipFamilyPolicy"], f"must be 'SingleStack' to release the secondary {what}")


def _fit_policy(spec: Json, errors: FieldErrors) -> None:
    for name, what in (("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")):
        if spec["ipFamilyPolicy"] == "SingleStack" and len(items(spec, name)) == 2:
            text = f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified"
            errors.invalid(_POLICY, "SingleStack", text)


def _infer_families(spec: Json, configured: list[str], errors: FieldErrors) -> None:
    """Addresses that are asked for say their families."""
    addresses, families = items(spec, "clusterIPs"), list(items(spec, "ipFamilies"))
    for index, address in enumerate(addresses):
        family = family_of(address)
        if address == "None" or index < len(families):
            continue
        if family in configured:
            families.append(family)
        else:
            errors.invalid(f"spec.clusterIPs[{index}]", addresses, f"{family} is not configured on this cluster")
    if families:
        spec["ipFamilies"] = families


def _check_configured(spec: Json, configured: list[str], errors: FieldErrors) -> None:
    if spec["ipFamilyPolicy"] == "RequireDualStack" and len(configured) < 2:
        errors.invalid(_POLICY, "RequireDualStack", "this cluster is not configured for dual-stack services")
    for index, family in enumerate(items(spec, "ipFamilies")):
        if family not in configured:
            errors.invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")


def _complete(spec: Json, configured: list[str]) -> None:
    families = list(items(spec, "ipFamilies")) or configured[:1]
    may_have_both = len(configured) == 2 or _is_open(spec)
    if spec["ipFamilyPolicy"] != "SingleStack" and len(families) == 1 and may_have_both:
        families.append(_OTHER[families[0]])
    spec["ipFamilies"] = families
