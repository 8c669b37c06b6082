"""What a served resource is: its names, columns, defaults, rules, selectable fields and subresources."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from podwire.services.apiserver.core import names
from podwire.services.apiserver.core.defaults import cluster as cluster_defaults
from podwire.services.apiserver.core.errors import FieldErrors
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.printers.table import Printer
from podwire.services.apiserver.core.selectors import FieldReader, field_reader
from podwire.services.apiserver.core.validation import cluster as cluster_rules
from podwire.services.apiserver.core.validation.metadata import NameRule

type Defaulter = Callable[[Json], None]
type Validator = Callable[[Json, Json | None, FieldErrors], None]

_VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Subresource:
    """A subresource in discovery: its name, its verbs, and the kind it speaks if that is another one."""

    name: str
    verbs: tuple[str, ...] = ("get", "patch", "update")
    kind: tuple[str, str, str] | None = None


class ScalePaths(NamedTuple):
    """Where a custom object has what its Scale shows."""

    replicas: tuple[str, ...]
    current: tuple[str, ...]
    selector: tuple[str, ...]
    """() for none."""


@dataclass(frozen=True, slots=True)
class Custom:
    """What a CustomResourceDefinition says of a version of its kind, beside its row."""

    schema: Json
    singular: str
    list_kind: str
    storage_version: str
    scale: ScalePaths | None = None
    is_going: bool = False
    """Whether the definition is being deleted: nothing new can be made."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One served resource."""

    group: str
    version: str
    resource: str
    kind: str
    definition: str
    printer: Printer
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[Subresource, ...] = ()
    defaults: Defaulter = cluster_defaults.nothing
    on_create: Defaulter = cluster_defaults.nothing
    """What follows from the uid of a new object."""
    validate: Validator = cluster_rules.nothing
    name_rule: NameRule = names.dns1123_subdomain
    counts_generation: bool = False
    fields: Mapping[str, FieldReader] = field(default_factory=dict)
    stored_as: tuple[str, str] | None = None
    """Group and resource of the storage, where it is another kind's (events.k8s.io)."""
    caution: str = ""
    """A warning to who makes one: what podwire does not do with it."""
    answered: bool = False
    """A question: what is created is answered at once and never stored."""
    custom: Custom | None = None
    """None for built-in kinds."""

    @property
    def singular(self) -> str:
        """The singular name."""
        return self.kind.lower() if self.custom is None else self.custom.singular

    @property
    def list_kind(self) -> str:
        """The kind of a list."""
        return f"{self.kind}List" if self.custom is None else self.custom.list_kind

    @property
    def storage_api_version(self) -> str:
        """The apiVersion in which objects of a custom kind are stored."""
        return self.api_version if self.custom is None else f"{self.group}/{self.custom.storage_version}"

    @property
    def api_version(self) -> str:
        """`v1` or `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def verbs(self) -> tuple[str, ...]:
        """What can be done with the resource itself."""
        return ("create",) if self.answered else _VERBS

    @property
    def storage(self) -> tuple[str, str]:
        """Group and resource under which the objects are stored."""
        return self.stored_as or (self.group, self.resource)

    def has(self, subresource: str) -> bool:
        """Whether a subresource is served."""
        return any(entry.name == subresource for entry in self.subresources)

    def selectable(self) -> dict[str, FieldReader]:
        """Fields that a field selector may name."""
        known = {name: field_reader(name) for name in ("metadata.name", "metadata.namespace")}
        return known | dict(self.fields)


def readers(*paths: str) -> dict[str, FieldReader]:
    """Selectable fields by their dotted paths."""
    return {path: field_reader(path) for path in paths}


STATUS: Final = Subresource("status")
SCALE: Final = Subresource("scale", kind=("autoscaling", "v1", "Scale"))
