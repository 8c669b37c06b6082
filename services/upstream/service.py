"""The shell of an upstream container: connections to its ports go to a real port of this machine. Live only."""

from podwire.proto import subjects
from podwire.services.chassis.claim import wait_for_claim
from podwire.services.chassis.context import Context, ProcessEnd
from podwire.services.chassis.health import serve_health
from podwire.services.chassis.tunnel import Tunnel
from podwire.services.upstream.core.target import BadTarget, target_of
from podwire.services.upstream.settings import UpstreamSettings


class Upstream:
    """One upstream process: idle until it is given a container."""

    def __init__(self, context: Context, settings: UpstreamSettings) -> None:
        self._context, self._settings = context, settings
        self._target = ""

    async def run(self) -> None:
        """Serves until the claim ends."""
        serve_health(self._context, lambda: {"target": self._target})
        container = await wait_for_claim(self._context, self._settings.image, subjects.ANY_NODE)
        config = container.config
        try:
            target = target_of([*config.command, *config.arguments], config.environment)
        except BadTarget as error:
            container.log(str(error))
            await container.exit(1, str(error))
            raise ProcessEnd(str(error)) from None
        self._target = f"{target.host}:{target.port}"
        tunnel = Tunnel(container, target.host, target.port)
        ports = [port for protocol, port in config.ports if protocol == "TCP"] or [target.port]
        for port in ports:
            if await tunnel.listen(port):
                container.log(f"forwarding :{port} to {self._target}", stream="stdout")
        await container.until_ended()
        await container.exit(0)
