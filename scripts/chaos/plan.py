"""A chaos plan: what must hold, what is broken meanwhile, and for how long. Read from YAML (docs/breaking.md)."""

from typing import Any, Final, Literal

import msgspec

from podwire.scripts.errors import UserError
from podwire.scripts.yaml_files import parse_document, read_text
from podwire.services.chassis.durations import parse_duration

_WANTED: Final = "a YAML plan"

type During = Literal["holds", "fails", "either"]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a plan is made of: a field that nobody knows is refused."""


class Http(_Part, frozen=True, rename={"from_": "from"}):
    """A GET from a pod (or node, or `external`): the status, and what the beginning of the body contains."""

    from_: str
    url: str
    status: int = 200
    contains: str = ""
    timeout: str = "2s"


class Dns(_Part, frozen=True, rename={"from_": "from"}):
    """A question from a pod to the cluster's DNS: a name and a type, and an address among the answers ("" for any)."""

    from_: str
    name: str
    type: Literal["A", "AAAA"] = "A"
    answer: str = ""
    timeout: str = "2s"


class Reach(_Part, frozen=True, rename={"from_": "from"}):
    """Who reaches whom: rules as `podwire reach --expect` has them, of the same probes."""

    rules: list[Any]
    namespaces: list[str] = []
    from_: str = ""
    to: str = ""
    services: bool = False
    nodes: bool = False
    external: bool = False
    timeout: str = "1s"


class Check(_Part, frozen=True):
    """One thing that holds in the steady state; `during` says what becomes of it while something is broken."""

    name: str
    http: Http | None = None
    dns: Dns | None = None
    reach: Reach | None = None
    during: During = "holds"


class Plan(_Part, frozen=True):
    """The whole plan."""

    name: str
    checks: list[Check]
    namespace: str = "default"
    objects: list[dict[str, Any]] = []
    """Chaos objects, made and deleted again."""
    kill: list[str] = []
    pause: list[str] = []
    """Processes, by the targets of `podwire chaos`."""
    partition: list[tuple[str, str]] = []
    """Pairs of machines between which nothing passes."""
    hold: str = "10s"
    every: str = "1s"
    settle: str = "30s"


def seconds(field: str, text: str) -> float:
    """A duration of a plan. Raises UserError."""
    found = parse_duration(text)
    if not found:
        raise UserError(f"{field}: {text!r}: a duration above 0 is needed, as in 10s")
    return found


def read_plan(name: str) -> Plan:
    """The plan in a file. Raises UserError."""
    try:
        return parse_plan(read_text(name, _WANTED))
    except UserError as error:
        raise UserError(f"{name}: {error}") from None


def parse_plan(text: str) -> Plan:
    """The plan of a YAML text. Raises UserError that names the field and what would be right."""
    try:
        plan = msgspec.convert(parse_document(text, _WANTED), Plan)
    except msgspec.ValidationError as error:
        raise UserError(f"{error}; docs/breaking.md has the fields of a plan") from None
    _check(plan)
    return plan


def _check(plan: Plan) -> None:
    for field in ("hold", "every", "settle"):
        seconds(field, getattr(plan, field))
    if not plan.checks:
        raise UserError("checks: [] shows nothing: at least one is needed")
    names = [check.name for check in plan.checks]
    for check in plan.checks:
        if names.count(check.name) > 1:
            raise UserError(f"checks: name {check.name!r} stands there twice: each needs a name of its own")
        kinds = [kind for kind in (check.http, check.dns, check.reach) if kind is not None]
        if len(kinds) != 1:
            raise UserError(f"check {check.name!r}: exactly one of http, dns and reach is needed")
        seconds(f"check {check.name!r}: timeout", kinds[0].timeout)
    for body in plan.objects:
        if not isinstance(body.get("metadata"), dict) or not body["metadata"].get("name"):
            raise UserError(f"objects: {body.get('kind', body)}: metadata.name is needed")
    if not (plan.objects or plan.kill or plan.pause or plan.partition):
        raise UserError("objects, kill, pause, partition: nothing is broken: one of them is needed")
