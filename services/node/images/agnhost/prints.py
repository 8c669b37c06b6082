"""agnhost's commands that print something and end: dns-suffix, dns-server-list, etc-hosts, entrypoint-tester."""

from podwire.services.node.images.agnhost.go import go_resolver
from podwire.services.node.process import Process


async def dns_suffix(process: Process) -> int:
    """The search list, with commas (dns/common.go)."""
    await process.print(",".join(go_resolver(process).configuration().search) + "\n")
    return 0


async def dns_server_list(process: Process) -> int:
    """The name servers, with commas (dns/common.go)."""
    await process.print(",".join(go_resolver(process).configuration().servers) + "\n")
    return 0


async def etc_hosts(process: Process) -> int:
    """/etc/hosts as it is (dns/common.go)."""
    data = process.files.read("/etc/hosts")
    if data is None:
        await process.complain("panic: open /etc/hosts: no such file or directory")
        return 2
    await process.print(data.decode(errors="replace") + "\n")
    return 0


async def entrypoint_tester(process: Process) -> int:
    """All arguments, the program's name first (entrypoint-tester/ep.go)."""
    await process.print(f"[{' '.join(process.arguments)}]\n")
    return 0
