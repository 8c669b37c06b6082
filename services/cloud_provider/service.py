"""The cloud provider's shell: statuses through the API, routes in the gateway's kernel."""

import asyncio
from typing import Final

from podwire.proto.kube import resources
from podwire.proto.kube.families import IPV4, IPV6
from podwire.proto.kube.network import EndpointSlice, Node, Service
from podwire.proto.messages import kernel as operations
from podwire.proto.subjects import ObjectKey
from podwire.services.chassis.api.client import ApiClient, ApiError, ApiUnavailable
from podwire.services.chassis.api.watch import Watch, Watching
from podwire.services.chassis.context import Context
from podwire.services.chassis.health import serve_health
from podwire.services.chassis.kernel import KernelClient, KernelRefused, KernelUnavailable, boot_id_of
from podwire.services.cloud_provider.core.addresses import CLASS, assign, is_ours, read_pools, status_addresses
from podwire.services.cloud_provider.core.routes import choose, fit_nodes
from podwire.services.cloud_provider.settings import CloudProviderSettings

USER: Final = "system:cloud-provider"
PROTOCOL: Final = "static"
"""The mark of the routes that are ours (`ip route … proto static`)."""
_RETRY: Final = 0.2
_RESYNC: Final = 10.0
_FAILURES: Final = (ApiError, ApiUnavailable, KernelRefused, KernelUnavailable)


def _host(address: str) -> str:
    """The network of one address."""
    return f"{address}/{128 if ':' in address else 32}"


class CloudProvider:
    """One cloud provider. It keeps nothing: addresses stand in the Services, routes in the gateway's kernel."""

    def __init__(self, context: Context, settings: CloudProviderSettings) -> None:
        self._context, self._settings = context, settings
        self._client = ApiClient(context.bus, USER)
        self._pools = read_pools(settings.pool)
        self._wake = asyncio.Event()
        self._routes: dict[str, str] = {}
        self._told: dict[ObjectKey, str] = {}

    async def run(self) -> None:
        """Runs until the process ends; a gateway that has booted since ends it."""
        context = self._context
        serve_health(context, lambda: dict(self._routes))
        watching = Watching(context.bus, context.clock, self._client, context.tasks)
        self._services: Watch[Service] = watching.watch(resources.SERVICES, Service, self._changed)
        self._slices: Watch[EndpointSlice] = watching.watch(resources.ENDPOINT_SLICES, EndpointSlice, self._changed)
        self._nodes: Watch[Node] = watching.watch(resources.NODES, Node, self._changed)
        for watch in (self._services, self._slices, self._nodes):
            await watch.synced.wait()
        machine = self._settings.gateway_machine
        kernel = KernelClient(context, machine, "cloud-provider", await boot_id_of(context, machine))
        while True:
            self._wake.clear()
            await self._work(kernel)

    def _changed(self, key: ObjectKey | None) -> None:
        self._wake.set()

    async def _work(self, kernel: KernelClient) -> None:
        try:
            await self._sync(kernel)
        except _FAILURES as error:
            self._context.log.warning("cannot sync", reason=str(error))
            await asyncio.sleep(_RETRY)
            return
        try:
            await asyncio.wait_for(self._wake.wait(), _RESYNC)
        except TimeoutError:
            pass

    async def _sync(self, kernel: KernelClient) -> None:
        services = dict(self._services.objects)
        made = assign(services, self._pools)
        for key, reason in made.refused.items():
            self._tell(key, reason)
        nodes = fit_nodes(self._nodes.objects.values())
        await self._read_back(kernel)
        chosen = choose(made.addresses, services, self._slices.objects.values(), nodes, self._routes)
        await self._program(kernel, chosen)
        for key, service in services.items():
            await self._write_status(key, service, made.addresses.get(key, ()))

    def _tell(self, key: ObjectKey, reason: str) -> None:
        if self._told.get(key) != reason:
            self._told[key] = reason
            self._context.log.warning("no address", service=f"{key.namespace}/{key.name}", reason=reason)

    # -- the gateway

    async def _read_back(self, kernel: KernelClient) -> None:
        self._routes = {}
        for family in self._pools:
            rows = await kernel.read(operations.Route, "routes", family="ipv4" if family == IPV4 else "ipv6")
            routes = [row for row in rows if row.protocol == PROTOCOL and row.via]
            self._routes.update((route.destination.partition("/")[0], route.via) for route in routes)

    async def _program(self, kernel: KernelClient, chosen: dict[str, str]) -> None:
        """Routes for new and moved addresses, and answers to who asks for them; the pools' others lead nowhere."""
        device, steps = self._settings.device, list[operations.Operation]()
        for address in [each for each in self._routes if each not in chosen]:
            steps.append(operations.RouteDelete(destination=_host(address), protocol=PROTOCOL))
            steps.append(operations.NeighbourDelete(device=device, address=address, proxy=True))
        for address, via in chosen.items():
            if self._routes.get(address) != via:
                route = operations.RouteReplace(destination=_host(address), via=via, device=device, protocol=PROTOCOL)
                steps += [route, operations.NeighbourReplace(device=device, address=address, proxy=True)]
        if steps:
            await kernel.program([*self._prepared(), *steps])
            self._routes = dict(chosen)

    def _prepared(self) -> list[operations.Operation]:
        """What every address needs; neighbour solicitations are answered for others only with proxy_ndp."""
        steps: list[operations.Operation] = [
            operations.RouteReplace(destination=str(pool), kind="blackhole", protocol=PROTOCOL)
            for pool in self._pools.values()
        ]
        if IPV6 in self._pools:
            steps.append(operations.SysctlWrite(key=f"net.ipv6.conf.{self._settings.device}.proxy_ndp", value="1"))
        return steps

    # -- statuses

    async def _write_status(self, key: ObjectKey, service: Service, addresses: tuple[str, ...]) -> None:
        """The addresses in the status; taken out of it again when the Service is ours no more."""
        present = status_addresses(service)
        was_ours = service.spec.load_balancer_class in ("", CLASS) and present
        if present == addresses or not (is_ours(service) or was_ours):
            return
        ingress = [{"ip": address, "ipMode": "VIP"} for address in addresses]
        body = {"status": {"loadBalancer": {"ingress": ingress} if ingress else None}}
        try:
            await self._client.patch(resources.SERVICES, key.namespace, key.name, body, subresource="status")
        except ApiError as error:
            if error.code != 404:
                raise
