"""Carries decisions out: appends, waits until the own fold has applied the write, answers.

A conflict means that the decision was made on old state: the fold catches up and the request is decided anew.
"""

from typing import Final

from podwire.proto.messages.api import ApiRequest, ApiResponse
from podwire.proto.subjects import ObjectKey
from podwire.services.apiserver.core.authorization import Requester
from podwire.services.apiserver.core.decisions import (
    Answer,
    Append,
    Many,
    OpenStream,
    OpenWatch,
    ReviewToken,
    SignToken,
    Write,
)
from podwire.services.apiserver.core.errors import ApiError, unauthorized, unavailable
from podwire.services.apiserver.core.handler import decide
from podwire.services.apiserver.core.impersonation import Impersonation, act
from podwire.services.apiserver.core.json_types import Json, to_json
from podwire.services.apiserver.core.tokens import InvalidToken
from podwire.services.apiserver.core.versions import asked_revision
from podwire.services.apiserver.replica import Behind, Replica
from podwire.services.apiserver.signing import TokenKey
from podwire.services.chassis.chance import RandomStream
from podwire.services.chassis.clock import Clock
from podwire.services.chassis.eventlog.log import Conflict, EventLog, LogUnavailable

_ATTEMPTS: Final = 16
_PATIENCE: Final = 3.0
"""Seconds that a read waits for a revision that is ahead of the own fold (apiserver `storage/cacher`)."""

type Outcome = ApiResponse | OpenWatch | OpenStream


class _Stale(Exception):
    """A conflict on one object's subject."""

    def __init__(self, key: ObjectKey, last: int) -> None:
        super().__init__(str(key))
        self.key, self.last = key, last


def refusal(error: ApiError) -> ApiResponse:
    """The answer that carries an error's Status."""
    return ApiResponse(code=error.code, body=to_json(error.status()))


class Writer:
    """Decides and acts, one request at a time; requests run beside each other."""

    def __init__(
        self, replica: Replica, log: EventLog, clock: Clock, random: RandomStream, token_key: TokenKey
    ) -> None:
        self._replica, self._log, self._clock, self._random = replica, log, clock, random
        self._token_key = token_key

    def authenticate(self, token: str) -> Requester:
        """Whom a bearer token proves. Raises ApiError 401."""
        try:
            return self._token_key.authenticate(token, self._replica.store, self._clock.now_ns())
        except InvalidToken:
            raise unauthorized() from None

    async def handle(
        self, message: ApiRequest, who: Requester | None, acting_as: Impersonation | None = None
    ) -> Outcome:
        """The answer to a request, or the watch or stream that it opens; `acting_as` where it is for somebody else."""
        try:
            if who is not None and acting_as is not None:
                who = act(who, acting_as, self._replica.store)
            return await self._handle(message, who)
        except ApiError as error:
            return refusal(error)
        except (LogUnavailable, Behind) as error:
            return refusal(unavailable(f"etcdserver: request timed out: {error}"))

    async def _handle(self, message: ApiRequest, who: Requester | None) -> Outcome:
        if not self._replica.current.is_set() and not message.path.startswith(("/livez", "/healthz", "/version")):
            raise unavailable("the server is still reading the event log")
        if who is not None:
            await self._until_asked_revision(message)
        for _ in range(_ATTEMPTS):
            store, birth = self._replica.store, self._replica.birth
            decision = decide(message, who, store, self._clock.now_ns(), self._random, birth)
            try:
                if isinstance(decision, Write):
                    return await self._write(decision)
                if isinstance(decision, Many):
                    return await self._write_many(decision)
            except _Stale as stale:
                await self._replica.catch_up(stale.key, stale.last)
                continue
            return self._finish(decision)
        raise ApiError(409, "Conflict", "the object is changed too often by others; please try again")

    async def _until_asked_revision(self, message: ApiRequest) -> None:
        """A revision that another server answered may be on its way here; the decision says if it does not come."""
        try:
            await self._replica.until(asked_revision(dict(message.query)), _PATIENCE)
        except Behind:
            pass

    def _finish(self, decision: Answer | OpenWatch | OpenStream | SignToken | ReviewToken) -> Outcome:
        if isinstance(decision, SignToken):
            return ApiResponse(code=201, body=to_json(self._token_key.sign(decision)))
        if isinstance(decision, ReviewToken):
            reviewed = self._token_key.review(decision, self._replica.store, self._clock.now_ns())
            return ApiResponse(code=201, body=to_json(reviewed))
        return decision.response if isinstance(decision, Answer) else decision

    async def _append(self, change: Append) -> int:
        try:
            return await self._log.append(change.key, change.event, change.expected)
        except Conflict as conflict:
            raise _Stale(change.key, conflict.last) from None

    async def _write(self, write: Write) -> ApiResponse:
        for claim in write.claims:
            await self._append(claim)
        revision = last = await self._append(write.main)
        for release in write.releases:
            last = await self._release(release, last)
        await self._replica.until(last)
        body = _with_revision(write.result, revision)
        return ApiResponse(code=write.code, body=to_json(body), warnings=write.warnings)

    async def _release(self, release: Append, last: int) -> int:
        """A release that does not come about is made up for by the repair of abandoned claims."""
        try:
            return max(last, await self._log.append(release.key, release.event, release.expected))
        except (Conflict, LogUnavailable):
            return last

    async def _write_many(self, decision: Many) -> ApiResponse:
        last = 0
        for write in decision.writes:
            last = max(last, await self._append(write.main))
            for release in write.releases:
                last = await self._release(release, last)
        await self._replica.until(last)
        return ApiResponse(code=200, body=to_json(decision.result))

    async def release(self, release: Append) -> None:
        """One repair."""
        await self._release(release, 0)


def _with_revision(result: Json, revision: int) -> Json:
    if result.get("kind") == "Status":
        return result
    return result | {"metadata": result["metadata"] | {"resourceVersion": str(revision)}}
