"""The files that a container's /etc gets from its sandbox: hosts, hostname, resolv.conf."""

from typing import TYPE_CHECKING

from podwire.services.node.runtime.records import SandboxRecord

if TYPE_CHECKING:
    from podwire.services.node.machine import Machine


def etc_files(sandbox: SandboxRecord, machine: "Machine") -> dict[str, bytes]:
    """/etc/hosts, /etc/hostname and /etc/resolv.conf as the kubelet and the runtime write them."""
    config = sandbox.config
    return {
        "/etc/hosts": _hosts(sandbox).encode(),
        "/etc/hostname": f"{config.hostname or config.name}\n".encode(),
        "/etc/resolv.conf": _resolver(sandbox, machine),
    }


def _hosts(sandbox: SandboxRecord) -> str:
    config = sandbox.config
    lines = ["# Kubernetes-managed hosts file.", "127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
    if sandbox.address:
        lines.append(f"{sandbox.address}\t{config.hostname or config.name}")
    if config.host_aliases:
        lines += ["", "# Entries added by HostAliases."]
        lines += [f"{address}\t{chr(9).join(names)}" for address, names in config.host_aliases.items()]
    return "\n".join(lines) + "\n"


def _resolver(sandbox: SandboxRecord, machine: "Machine") -> bytes:
    dns = sandbox.config.dns
    if not dns.servers and not dns.searches:
        return machine.files.read("/etc/resolv.conf") or b""
    lines = [f"search {' '.join(dns.searches)}"] if dns.searches else []
    lines += [f"nameserver {server}" for server in dns.servers]
    if dns.options:
        lines.append(f"options {' '.join(dns.options)}")
    return ("\n".join(lines) + "\n").encode()
