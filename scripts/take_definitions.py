"""Takes the v1.33 definitions that the served kinds reach from the kubernetes-validate package into one packaged file.

Run with the dependency group `definitions`: `uv run --group definitions python -m podwire.scripts.take_definitions`.
"""

import gzip
import sys
from importlib import util
from pathlib import Path
from typing import Any, Final

import msgspec

from podwire.services.apiserver.core.kinds import BUILT_IN

_SOURCE: Final = "kubernetes-json-schema/v1.33.0-local/_definitions.json"
_TARGET: Final = Path(__file__).resolve().parent.parent / "services/apiserver/definitions/v1.33.json.gz"
_ALSO: Final = (
    "io.k8s.api.autoscaling.v1.Scale",
    "io.k8s.api.core.v1.Binding",
    "io.k8s.api.authentication.v1.TokenRequest",
    "io.k8s.api.policy.v1.Eviction",
    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Status",
    "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent",
    "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta",
)


def _source() -> Path:
    found = util.find_spec("kubernetes_validate")
    if found is None or not found.submodule_search_locations:
        sys.exit("kubernetes-validate is not installed: use the dependency group `definitions`")
    return Path(found.submodule_search_locations[0]) / _SOURCE


def _references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [name for entry in value for name in _references(entry)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"].rpartition("/")[2]] if isinstance(value.get("$ref"), str) else []
    return own + [name for entry in value.values() for name in _references(entry)]


def reached(definitions: dict[str, Any], roots: list[str]) -> dict[str, Any]:
    """The definitions that the roots reach, sorted by name."""
    found: dict[str, Any] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = definitions[name]
            waiting += _references(definitions[name])
    return dict(sorted(found.items()))


def main() -> None:
    """Writes the packaged file."""
    definitions = msgspec.json.decode(_source().read_bytes())["$defs"]
    taken = reached(definitions, [kind.definition for kind in BUILT_IN] + list(_ALSO))
    _TARGET.write_bytes(gzip.compress(msgspec.json.encode(taken), 9, mtime=0))
    print(f"{len(taken)} definitions, {_TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
