"""apiextensions.k8s.io: the kind that makes kinds."""

from typing import Final

from podwire.services.apiserver.core.custom import rules
from podwire.services.apiserver.core.kinds.kind import STATUS, Kind
from podwire.services.apiserver.core.printers import cluster as cluster_printers

KINDS: Final = (
    Kind(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
        cluster_printers.DEFAULT,
        namespaced=False,
        short_names=("crd", "crds"),
        categories=("api-extensions",),
        subresources=(STATUS,),
        defaults=rules.set_defaults,
        on_create=rules.new,
        validate=rules.validate,
        counts_generation=True,
    ),
)
