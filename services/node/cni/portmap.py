"""The portmap plugin: passes the result on. Host ports are not built yet and are refused by name."""

from podwire.services.node.cni.plugin import Arguments, CniError, Configuration, Host, Result


def add(host: Host, configuration: Configuration, arguments: Arguments, before: Result) -> Result:
    """The result so far. Raises CniError if the runtime asks for port mappings."""
    if (configuration.get("runtimeConfig") or {}).get("portMappings"):
        raise CniError("portmap: hostPort is not built yet")
    return before


def delete(host: Host, configuration: Configuration, arguments: Arguments) -> None:
    """Nothing was made."""
