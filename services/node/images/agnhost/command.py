"""The agnhost command: which sub-commands there are, and which are named but not built (agnhost.go)."""

from typing import Final

from podwire.services.node.images.agnhost import (
    connect,
    guestbook,
    liveness,
    logs_generator,
    mounttest,
    netexec,
    porter,
    prints,
    serve_hostname,
    servers,
)
from podwire.services.node.images.agnhost.pause import pause
from podwire.services.node.process import Process, Program
from podwire.services.node.programs.arguments import UsageError
from podwire.services.node.runtime.programs import handles_termination

VERSION: Final = "2.53"
COMMANDS: Final[dict[str, Program]] = {
    "connect": connect.connect,
    "dns-server-list": prints.dns_server_list,
    "dns-suffix": prints.dns_suffix,
    "entrypoint-tester": prints.entrypoint_tester,
    "etc-hosts": prints.etc_hosts,
    "guestbook": guestbook.guestbook,
    "liveness": liveness.liveness,
    "logs-generator": logs_generator.logs_generator,
    "mounttest": mounttest.mounttest,
    "netexec": netexec.netexec,
    "pause": pause,
    "port-forward-tester": servers.port_forward_tester,
    "porter": porter.porter,
    "serve-hostname": serve_hostname.serve_hostname,
    "test-webserver": servers.test_webserver,
}
NOT_BUILT: Final = (
    *("audit-proxy", "crd-conversion-webhook", "fake-gitserver", "fake-registry-server", "grpc-health-checking"),
    *("inclusterclient", "mtlsclient", "mtlsserver", "net", "nettest", "no-snat-test", "no-snat-test-proxy"),
    *("nonewprivs", "openidmetadata", "podcertificatesigner", "resource-consumer", "resource-consumer-controller"),
    *("tcp-reset", "webhook"),
)


@handles_termination
async def agnhost(process: Process) -> int:
    """agnhost COMMAND [OPTION]…, agnhost --version."""
    words = process.arguments[1:] or ["pause"]
    if words[0] == "--version":
        await process.print(f"agnhost version {VERSION}\n")
        return 0
    command = COMMANDS.get(words[0])
    if command is None:
        await process.complain(_unknown(words[0]))
        return 1
    try:
        return await command(process.with_arguments(process.arguments if words[0] == "entrypoint-tester" else words))
    except UsageError as error:
        await process.complain(f"Error: {error}\nUsage:\n  app {words[0]} [flags]\n")
        return 1


def _unknown(name: str) -> str:
    if name in NOT_BUILT:
        return f'Error: agnhost\'s command "{name}" is not built in podwire; built are {", ".join(COMMANDS)}'
    return f'Error: unknown command "{name}" for "app"\nRun \'app --help\' for usage.'
