"""The files that a container's /etc gets from its sandbox: hosts, hostname, resolv.conf.

Source: kubernetes `pkg/kubelet/kubelet_pods.go` (managedHostsFileContent, nodeHostsFileContent), `network/dns`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from podwire.proto.messages.runtime import HostAlias
from podwire.services.node.runtime.records import SandboxRecord

if TYPE_CHECKING:
    from podwire.services.node.machine import Machine

_LOCAL: Final = (
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "fe00::0\tip6-mcastprefix",
    "fe00::1\tip6-allnodes",
    "fe00::2\tip6-allrouters",
)


def etc_files(sandbox: SandboxRecord, machine: "Machine") -> dict[str, bytes]:
    """/etc/hosts, /etc/hostname and /etc/resolv.conf as the kubelet and the runtime write them."""
    config = sandbox.config
    return {
        "/etc/hosts": _hosts(sandbox, machine).encode(),
        "/etc/hostname": f"{config.hostname or config.name}\n".encode(),
        "/etc/resolv.conf": _resolver(sandbox, machine),
    }


def _hosts(sandbox: SandboxRecord, machine: "Machine") -> str:
    config = sandbox.config
    if config.host_network:
        own = (machine.files.read("/etc/hosts") or b"").decode(errors="replace")
        return f"# Kubernetes-managed hosts file (host network).\n{own}{_aliases(config.host_aliases)}"
    lines = ["# Kubernetes-managed hosts file.", *_LOCAL]
    name = config.hostname.partition(".")[0] or config.name
    names = f"{name}.{config.domain}\t{name}" if config.domain else name
    lines += [f"{address}\t{names}" for address in sandbox.addresses]
    return "\n".join(lines) + "\n" + _aliases(config.host_aliases)


def _aliases(aliases: Sequence[HostAlias]) -> str:
    """A line for each, as they stand in the pod (hostsEntriesFromHostAliases)."""
    if not aliases:
        return ""
    lines = ["\t".join([alias.address, *alias.names]) for alias in aliases]
    return "\n".join(["", "# Entries added by HostAliases.", *lines]) + "\n"


def _resolver(sandbox: SandboxRecord, machine: "Machine") -> bytes:
    dns = sandbox.config.dns
    own = (machine.files.read("/etc/resolv.conf") or b"").decode(errors="replace").splitlines() if dns.uses_host else []
    servers = [line.split()[1] for line in own if line.startswith("nameserver ") and len(line.split()) > 1]
    searches = [word for line in own if line.startswith("search ") for word in line.split()[1:]]
    options = [word for line in own if line.startswith("options ") for word in line.split()[1:]]
    searches = list(dict.fromkeys([*searches, *dns.searches]))
    lines = [f"search {' '.join(searches)}"] if searches else []
    lines += [f"nameserver {server}" for server in dict.fromkeys([*servers, *dns.servers])]
    options = list(dict.fromkeys([*options, *dns.options]))
    if options:
        lines.append(f"options {' '.join(options)}")
    return ("\n".join(lines) + "\n").encode()
