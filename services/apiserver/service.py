"""The API server's shell: follows the log, answers on the bus and over HTTPS, beats, compacts, repairs."""

import asyncio
from pathlib import Path
from typing import Final

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages.api import ApiResponse
from podwire.proto.messages.events import Heartbeat, ObjectEvent
from podwire.proto.subjects import ObjectKey
from podwire.services.apiserver.bus_front import BusFront
from podwire.services.apiserver.core import allocation, bootstrap
from podwire.services.apiserver.core.authorization import MASTERS, Requester
from podwire.services.apiserver.core.decisions import Append
from podwire.services.apiserver.core.json_types import pack
from podwire.services.apiserver.core.store import Changed, stored_form
from podwire.services.apiserver.definitions_loop import DefinitionsLoop
from podwire.services.apiserver.high_water import HighWater
from podwire.services.apiserver.replica import Replica
from podwire.services.apiserver.settings import ApiServerSettings
from podwire.services.apiserver.signing import token_key
from podwire.services.apiserver.writer import Writer
from podwire.services.chassis.api.watch import HEARTBEAT_EVERY
from podwire.services.chassis.bus.base import BusError
from podwire.services.chassis.chance import hexadecimal
from podwire.services.chassis.claim import Container
from podwire.services.chassis.clock import SECOND
from podwire.services.chassis.context import Context
from podwire.services.chassis.eventlog.compaction import compact
from podwire.services.chassis.eventlog.log import Conflict, EventLog, LogUnavailable
from podwire.services.chassis.health import serve_health

USER: Final = "system:apiserver"
_RETRY: Final = 0.5
_SECURE_PORT: Final = 6443
_BOOTSTRAP_RESOURCES: Final = ("servicecidrs", "namespaces", "nodes", "services", "endpoints", "endpointslices")


class ApiServer:
    """One API server; several may run, each with a fold of its own."""

    def __init__(self, context: Context, settings: ApiServerSettings) -> None:
        self._context, self._settings = context, settings
        self._log = EventLog(context.bus)
        self.replica = Replica(self._log)
        self.writer = Writer(self.replica, self._log, context.clock, context.random, token_key(settings))
        self._front = BusFront(context.bus, context.tasks, self.writer)
        self._bootstrap_due = asyncio.Event()
        self._who = Requester(USER, (MASTERS,))

    async def run(self) -> None:
        """Serves until cancelled."""
        serve_health(self._context, self._facts)
        await self._read_floor()
        self.replica.listen(self._on_change)
        self._write_down_revisions()
        start = self._context.tasks.start
        start(self.replica.run(), name="follow the event log")
        await self.replica.current.wait()
        self._front.serve()
        self._bootstrap_due.set()
        start(self._keep_bootstrapped(), name="bootstrap")
        definitions = DefinitionsLoop(self._context, self.replica, self.writer, self._who)
        start(definitions.run(), name="custom resource definitions")
        start(self._keep_history_bounded(), name="compaction")
        if self._settings.api_port:
            await self._serve_https()
        self._context.log.info("serving", revision=self.replica.store.revision, port=self._settings.api_port)
        await self._beat()

    async def serve_container(self, container: Container) -> None:
        """Listens in the emulated network too, on its node's :6443, behind the `kubernetes` Service."""
        if self._settings.api_port:
            from podwire.services.chassis.tunnel import Tunnel  # live only: a simulation has no sockets

            await Tunnel(container, self._settings.api_host, self._settings.api_port).listen(_SECURE_PORT)

    async def _serve_https(self) -> None:
        from podwire.services.apiserver.http_front import HttpFront  # live only: a simulation has no sockets

        front = HttpFront(self._context, self._settings, self.replica, self.writer)
        self._context.tasks.start(front.run(), name="https")
        await front.listening.wait()

    def _facts(self) -> dict[str, str]:
        store = self.replica.store
        return {
            "revision": str(store.revision),
            "floor": str(store.floor),
            "current": str(self.replica.current.is_set()).lower(),
            "foreign": str(self.replica.foreign + self._front.foreign),
        }

    async def _read_floor(self) -> None:
        while True:
            try:
                self.replica.store.raise_floor(await self._log.floor())
                return
            except (LogUnavailable, codec.ForeignMessage) as error:
                self._context.log.warning("the event log's floor cannot be read", reason=str(error))
                await asyncio.sleep(_RETRY)

    def _write_down_revisions(self) -> None:
        if not self._settings.acknowledged_file:
            return
        high_water = HighWater(Path(self._settings.acknowledged_file))
        self.replica.listen(lambda changed: high_water.reach(changed.revision) if changed is not None else None)

    def _on_change(self, changed: Changed | None) -> None:
        if changed is None or changed.key.resource in _BOOTSTRAP_RESOURCES:
            self._bootstrap_due.set()

    async def _beat(self) -> None:
        while True:
            if self.replica.current.is_set():
                beat = Heartbeat(
                    instance=self._context.instance, revision=self.replica.store.revision, birth=self.replica.birth
                )
                self._context.bus.publish(subjects.HEARTBEAT, codec.encode(beat))
            await asyncio.sleep(HEARTBEAT_EVERY)

    async def _keep_bootstrapped(self) -> None:
        """Makes what is missing whenever something relevant changes."""
        while True:
            await self._bootstrap_due.wait()
            self._bootstrap_due.clear()
            await self.replica.current.wait()
            for request in bootstrap.missing(self.replica.store, self._settings.service_cluster_ip_range):
                outcome = await self.writer.handle(request, self._who)
                if isinstance(outcome, ApiResponse) and outcome.code >= 300 and outcome.code != 409:
                    self._context.log.warning("bootstrap", path=request.path, answer=outcome.body.decode())
                    await asyncio.sleep(_RETRY)
                self._bootstrap_due.set()

    async def _keep_history_bounded(self) -> None:
        """One step a minute: compaction, and the repair of abandoned claims."""
        while True:
            await asyncio.sleep(self._settings.compaction_seconds)
            await self.replica.current.wait()
            try:
                await self._compact()
            except (Conflict, LogUnavailable, BusError) as error:
                self._context.log.warning("compaction was put off", reason=str(error))
            await self._repair_claims()

    async def _compact(self) -> None:
        settings, ledger, store = self._settings, self.replica.ledger, self.replica.store
        now = self._context.clock.now_ns()
        floor = ledger.floor(now, settings.history_seconds * SECOND, settings.history_bytes)
        floor = max(floor, store.floor)
        removed = await compact(self._log, ledger.revisions(), floor, store.revision)
        store.raise_floor(floor)
        for key in ledger.forget(removed):
            store.forget_tombstone(key)

    async def _repair_claims(self) -> None:
        for key in allocation.abandoned(self.replica.store, self._context.clock.now_ns()):
            self._context.log.info("releasing an abandoned claim", claim=key.name)
            await self.writer.release(self._release_of(key))

    def _release_of(self, key: ObjectKey) -> Append:
        store = self.replica.store
        raw = pack(stored_form(store.get(key) or {"metadata": {}}))
        event = ObjectEvent(
            change="DELETED",
            write_id=hexadecimal(self._context.random, 32),
            previous=store.last(key),
            actor=USER,
            time=self._context.clock.now_ns(),
            object=raw,
            before=raw,
        )
        return Append(key, event, store.last(key))
