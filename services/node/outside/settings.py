"""Settings of the host outside."""

from podwire.services.node.settings import NodeSettings


class OutsideSettings(NodeSettings, frozen=True, kw_only=True):
    """The machine's, and what of the real world it opens."""

    doors_file: str = ""
    """Where the real ports are written that lead into the cluster ("": there are none)."""
    upstream: str = ""
    """ADDRESS:PORT of a real resolver for names that nobody set ("": they do not exist)."""
