"""Everything that is served now: the built-in kinds, and those that CustomResourceDefinitions add."""

from functools import cached_property

from podwire.services.apiserver.core.custom.definition import STORAGE, kinds_of, version_order
from podwire.services.apiserver.core.json_types import Json
from podwire.services.apiserver.core.kinds import BUILT_IN, Kind
from podwire.services.apiserver.core.store import Store


class Catalogue:
    """The served kinds, by resource and by group and version."""

    def __init__(self, definitions: list[Json]) -> None:
        made = [kind for crd in definitions for kind in kinds_of(crd)]
        self.kinds = (*BUILT_IN, *made)
        self.documents: dict[str, bytes] = {}
        """OpenAPI documents that were made from these kinds, by name."""
        self._by_resource = {(kind.group, kind.version, kind.resource): kind for kind in self.kinds}

    @cached_property
    def group_versions(self) -> tuple[tuple[str, str], ...]:
        """Groups and versions, the preferred version of a group first."""
        built_in = dict.fromkeys((kind.group, kind.version) for kind in self.kinds if kind.custom is None)
        made = {(kind.group, kind.version) for kind in self.kinds if kind.custom is not None} - built_in.keys()
        return (*built_in, *sorted(made, key=lambda entry: (entry[0], version_order(entry[1]))))

    def find(self, group: str, version: str, resource: str) -> Kind | None:
        """The row of a resource, if it is served."""
        return self._by_resource.get((group, version, resource))

    def in_group_version(self, group: str, version: str) -> list[Kind]:
        """The rows of one group and version."""
        return [kind for kind in self.kinds if (kind.group, kind.version) == (group, version)]

    def stored_with(self, kind: Kind) -> list[Kind]:
        """The kinds that show the same objects, in whichever version."""
        return [other for other in self.kinds if other.storage == kind.storage]


def catalogue(store: Store) -> Catalogue:
    """What is served by what the store holds; made anew when a definition changes."""
    return store.derived(STORAGE, Catalogue)
