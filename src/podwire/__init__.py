"""podwire: a Kubernetes cluster's network, emulated as a real distributed system."""

from typing import Final

__version__: Final = "0.1.0"
