"""Serves `kube.request.<user>`: the subject names the requester, since the bus lets only that user publish there."""

from typing import Final

import structlog

from podwire.proto import subjects
from podwire.proto.messages import codec
from podwire.proto.messages.api import ApiRequest, ApiResponse
from podwire.proto.messages.kubelet import LogRequest
from podwire.services.apiserver.core.authorization import Requester
from podwire.services.apiserver.core.decisions import OpenStream, OpenWatch
from podwire.services.apiserver.core.errors import ApiError, bad_request, internal
from podwire.services.apiserver.sessions import Session, collect
from podwire.services.apiserver.writer import Writer, refusal
from podwire.services.chassis.bus import pieces
from podwire.services.chassis.bus.base import Bus, Message, Subscription
from podwire.services.chassis.tasks import OrderedTaskGroup

logger = structlog.get_logger()

_QUEUE: Final = "apiserver"


class BusFront:
    """Answers components; watches are read from the event log instead, and logs only as a whole."""

    def __init__(self, bus: Bus, tasks: OrderedTaskGroup, writer: Writer) -> None:
        self.foreign = 0
        self._bus, self._writer = bus, writer
        self._responder = pieces.Responder(bus, tasks, self._answer)

    def serve(self) -> Subscription:
        """Starts to answer."""
        return self._responder.serve(subjects.API_REQUESTS, _QUEUE)

    async def _answer(self, message: Message) -> bytes:
        try:
            user = subjects.parse_api_request(message.subject)
            request = codec.decode(ApiRequest, message.payload)
        except (subjects.SubjectError, codec.ForeignMessage) as error:
            self.foreign += 1
            return codec.encode(refusal(bad_request(f"not an API request: {error}")))
        return codec.encode(await self._respond(request, Requester(user, ("system:authenticated",))))

    async def _respond(self, request: ApiRequest, who: Requester) -> ApiResponse:
        try:
            outcome = await self._writer.handle(request, who)
        except Exception:
            logger.exception("a request failed", method=request.method, path=request.path, user=who.user)
            return refusal(internal("the request could not be handled; the server's log says why"))
        if isinstance(outcome, ApiResponse):
            return outcome
        if isinstance(outcome, OpenWatch):
            return refusal(bad_request("over the bus a watch is opened with watch=1&podwire=stream"))
        return await self._log(outcome)

    async def _log(self, opened: OpenStream) -> ApiResponse:
        if not isinstance(opened.request, LogRequest) or opened.request.follow:
            return refusal(bad_request(f"over the bus {opened.protocol} is not served"))
        session = Session(self._bus, opened.node, opened.request)
        try:
            await session.open()
            return ApiResponse(code=200, content_type="text/plain", body=await collect(session))
        except ApiError as error:
            return refusal(error)
        finally:
            session.close()
