"""The bus on a real NATS server.

nats-py's publish and subscribe only write into a buffer and never suspend while no pending limit is set (tried with
2.16), so they are driven to their end synchronously; the datapath depends on that. Ordered consumers of nats-py are not
used: they lose messages silently over their limit and come back 17 s after a server's death (measured).
"""

import asyncio
import base64
import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, cast

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from podwire.proto import subjects
from podwire.services.chassis.bus import base
from podwire.services.chassis.chance import RandomBits, hexadecimal

RECONNECT_EVERY: Final = 0.1
_WRONG_LAST_SEQUENCE: Final = 10071
_NO_MESSAGE: Final = 10037
_FLUSH: Final = 10.0
_HEARTBEAT_NS: Final = int(base.HEARTBEAT_INTERVAL * 1e9)

logger = structlog.get_logger()


def run_through[T](coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that does not suspend."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        return cast(T, finished.value)
    coroutine.close()
    raise RuntimeError("the NATS client suspended where it must only buffer")


class _AtOnce(asyncio.Queue[Msg]):
    """In the place of a subscription's queue: messages are handled as the client reads them.

    The client library has a task for each subscription take them from the queue, which costs a packet between machines
    a turn of the loop and as much time as its way through a kernel.
    """

    def __init__(self, handle: Callable[[Msg], None]) -> None:
        super().__init__()
        self._handle = handle

    def put_nowait(self, item: Msg) -> None:
        self._handle(item)


class _Pong(asyncio.Future[bool]):
    """The server's answer to a PING, which may come when nobody waits any more.

    The client library's own flush leaves a cancelled future in its list; the answer then ends its read loop, and the
    connection hears nothing ever after (tried with 2.16).
    """

    def set_result(self, result: bool, /) -> None:
        if not self.done():
            super().set_result(result)


class _Subscription:
    def __init__(self, client: Client, subscription: NatsSubscription) -> None:
        self._client, self._subscription, self._open = client, subscription, True

    @property
    def waiting(self) -> int:
        """What the client has read and not yet taken apart is not counted: 1 if there is any."""
        return int(bool(self._client._ps.buf))

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        if not self._client.is_closed:
            run_through(self._subscription.unsubscribe())


class _Consumer:
    """Forgetting it is the server's part: it notices that nobody listens on the deliver subject."""

    def __init__(self, subscription: _Subscription) -> None:
        self._subscription = subscription
        self.pending = 0

    def close(self) -> None:
        self._subscription.close()


class NatsBus:
    """One connection; `name` is what the server tells others of it when it ends."""

    def __init__(self, name: str, random: RandomBits) -> None:
        self.name = name
        self.dropped = 0
        self.congestion_limit = 64 * 1024 * 1024
        self._client = Client()
        self._random = random
        self._listeners: list[Callable[[bool], None]] = []
        self._inbox = ""

    async def connect(self, url: str, user: str, password: str, timeout: float = 10.0) -> None:
        """Connects, and from then on reconnects for ever. Raises BusError when the first connection fails."""
        self._inbox = inbox_prefix(user)
        try:
            await self._client.connect(
                servers=[url],
                name=self.name,
                user=user,
                password=password,
                inbox_prefix=self._inbox.encode(),
                allow_reconnect=True,
                max_reconnect_attempts=-1,
                reconnect_time_wait=RECONNECT_EVERY,  # type: ignore[arg-type]  # seconds; annotated as int, used as float
                connect_timeout=timeout,  # type: ignore[arg-type]  # as above
                pending_size=0,
                ping_interval=20,
                error_cb=self._on_error,
                disconnected_cb=self._on_disconnect,
                reconnected_cb=self._on_reconnect,
            )
        except (OSError, nats.errors.Error, TimeoutError) as error:
            raise base.BusError(f"cannot connect to {url} as {user}: {error}") from None

    async def _on_error(self, error: Exception) -> None:
        logger.debug("bus error", error=str(error) or type(error).__name__)

    async def _on_disconnect(self) -> None:
        self._fail_waiting_requests()
        for listener in self._listeners:
            listener(False)

    def _fail_waiting_requests(self) -> None:
        """Their answers went with the connection; the client library would let them wait for their timeout."""
        for waiting in list(self._client._resp_map.values()):
            if not waiting.done():
                waiting.set_exception(nats.errors.ConnectionClosedError())

    async def _on_reconnect(self) -> None:
        for listener in self._listeners:
            listener(True)

    @property
    def connected(self) -> bool:
        return bool(self._client.is_connected)

    @property
    def is_clustered(self) -> bool:
        """Whether the server is one of several (the client library does not tell; the server's INFO does)."""
        return bool(self._client._server_info.get("cluster"))

    def on_connection(self, listener: Callable[[bool], None]) -> None:
        self._listeners.append(listener)

    def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        if len(payload) > base.MAX_PAYLOAD:
            raise base.PayloadTooLarge(f"{subject}: {len(payload)} bytes, at most {base.MAX_PAYLOAD}")
        client = self._client
        if not client.is_connected or client.pending_data_size > self.congestion_limit:
            self.dropped += 1
            return
        run_through(client.publish(subject, payload, reply))

    async def request(self, subject: str, payload: bytes, timeout: float) -> bytes:
        return bytes((await self._request(subject, payload, timeout)).data)

    async def _request(
        self, subject: str, payload: bytes, timeout: float, headers: dict[str, str] | None = None
    ) -> Msg:
        if len(payload) > base.MAX_PAYLOAD:
            raise base.PayloadTooLarge(f"{subject}: {len(payload)} bytes, at most {base.MAX_PAYLOAD}")
        if not self.connected:
            raise base.Disconnected(f"{subject}: the bus is away")
        try:
            return await self._client.request(subject, payload, timeout=timeout, headers=headers)
        except nats.errors.NoRespondersError:
            raise base.NoResponders(subject) from None
        except (nats.errors.TimeoutError, TimeoutError):
            raise base.RequestTimeout(f"{subject}: no answer within {timeout} s") from None
        except (nats.errors.Error, OSError) as error:
            raise base.Disconnected(f"{subject}: {error}") from None

    def subscribe(self, subject: str, handler: base.Handler, queue: str = "") -> base.Subscription:
        def deliver(message: Msg) -> None:
            handler(base.Message(message.subject, message.data, message.reply))

        return self._subscribe(subject, deliver, queue)

    def _subscribe(self, subject: str, deliver: Callable[[Msg], None], queue: str = "") -> _Subscription:
        def handle(message: Msg) -> None:
            try:
                deliver(message)
            except Exception:
                logger.exception("a handler failed", subject=message.subject)

        subscription = run_through(
            self._client.subscribe(subject, queue=queue, cb=_never, pending_msgs_limit=0, pending_bytes_limit=0)
        )
        subscription._pending_queue = _AtOnce(handle)
        return _Subscription(self._client, subscription)

    async def flush(self) -> None:
        # The client's PING overtakes what its flusher has not yet written.
        while self._client.pending_data_size and self.connected:
            await asyncio.sleep(0)
        if not self.connected:
            raise base.Disconnected("the bus is away")
        pong = _Pong()
        try:
            await self._client._send_ping(pong)
            async with asyncio.timeout(_FLUSH):
                await pong
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise base.Disconnected(str(error) or f"no answer within {_FLUSH} s") from None

    async def append(self, subject: str, payload: bytes, expected: int | None, timeout: float) -> int:
        headers = None if expected is None else {"Nats-Expected-Last-Subject-Sequence": str(expected)}
        try:
            message = await self._request(subject, payload, timeout, headers)
        except base.NoResponders:
            raise base.StreamUnavailable(subject) from None
        answer = _answer(message.data)
        if (error := answer.get("error")) is None:
            return int(answer["seq"])
        if error.get("err_code") == _WRONG_LAST_SEQUENCE and expected is not None:
            raise base.WrongLastSequence(subject, expected)
        raise base.StreamUnavailable(f"{subject}: {error.get('description')}")

    async def _call(self, verb: str, body: dict[str, object], timeout: float) -> dict[str, Any]:
        try:
            message = await self._request(f"$JS.API.{verb}", json.dumps(body).encode(), timeout)
        except base.NoResponders:
            raise base.StreamUnavailable(f"JetStream does not answer {verb}") from None
        return _answer(message.data)

    async def last(self, subject: str, timeout: float) -> base.Stored | None:
        answer = await self._call(f"STREAM.MSG.GET.{subjects.STREAM}", {"last_by_subj": subject}, timeout)
        if (error := answer.get("error")) is not None:
            if error.get("err_code") == _NO_MESSAGE:
                return None
            raise base.StreamUnavailable(str(error.get("description")))
        message = answer["message"]
        return base.Stored(int(message["seq"]), message["subject"], base64.b64decode(message.get("data", "")))

    async def stream_state(self, timeout: float) -> base.StreamState:
        answer = _checked(await self._call(f"STREAM.INFO.{subjects.STREAM}", {}, timeout))
        state = answer["state"]
        return base.StreamState(answer["created"], int(state["first_seq"]), int(state["last_seq"]))

    async def create_stream(self, config: dict[str, object], timeout: float) -> None:
        """Makes the stream unless it is there with this configuration (idempotent in JetStream)."""
        _checked(await self._call(f"STREAM.CREATE.{config['name']}", config, timeout))

    async def purge(self, subject: str, before: int, timeout: float) -> int:
        body: dict[str, object] = {"filter": subject, "seq": before}
        return int(_checked(await self._call(f"STREAM.PURGE.{subjects.STREAM}", body, timeout))["purged"])

    async def consume(
        self,
        subjects: Sequence[str],
        start: int | None,
        on_message: Callable[[base.Delivery], None],
        on_heartbeat: Callable[[int], None],
        timeout: float,
    ) -> base.Consumer:
        name = f"watch-{hexadecimal(self._random, 20)}"
        deliver_subject = f"{self._inbox}.{name}"

        def deliver(message: Msg) -> None:
            _dispatch(message, on_message, on_heartbeat)

        consumer = _Consumer(self._subscribe(deliver_subject, deliver))
        try:
            answer = await self._create_consumer(name, deliver_subject, list(subjects), start, timeout)
        except BaseException:
            consumer.close()
            raise
        consumer.pending = int(answer.get("num_pending", 0))
        return consumer

    async def _create_consumer(
        self, name: str, deliver_subject: str, filters: list[str], start: int | None, timeout: float
    ) -> dict[str, Any]:
        config: dict[str, object] = {
            "name": name,
            "deliver_subject": deliver_subject,
            "deliver_policy": "last_per_subject" if start is None else "by_start_sequence",
            "ack_policy": "none",
            "replay_policy": "instant",
            "idle_heartbeat": _HEARTBEAT_NS,
            "inactive_threshold": 5_000_000_000,
            "mem_storage": True,
            "num_replicas": 1,
            "filter_subjects": filters,
        }
        if start is not None:
            config["opt_start_seq"] = max(1, start)
        verb = f"CONSUMER.CREATE.{subjects.STREAM}.{name}"
        return _checked(await self._call(verb, {"stream_name": subjects.STREAM, "config": config}, timeout))

    async def close(self) -> None:
        await self._client.close()


async def _never(_: Msg) -> None:
    """A subscription without a callback would keep its messages."""


def inbox_prefix(user: str) -> str:
    """The inbox subjects that belong to one user alone."""
    return f"_INBOX.{subjects.token(user)}"


def _answer(payload: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(payload)
    except ValueError:
        raise base.StreamUnavailable("JetStream answered with something that is not JSON") from None
    if not isinstance(answer, dict):
        raise base.StreamUnavailable("JetStream answered with something that is not an object")
    return answer


def _checked(answer: dict[str, Any]) -> dict[str, Any]:
    if (error := answer.get("error")) is not None:
        raise base.StreamUnavailable(str(error.get("description")))
    return answer


def _dispatch(message: Msg, on_message: Callable[[base.Delivery], None], on_heartbeat: Callable[[int], None]) -> None:
    if not message.reply.startswith("$JS.ACK."):
        sequence = (message.headers or {}).get("Nats-Last-Consumer")
        if sequence is not None:
            on_heartbeat(int(sequence))
        return
    parts = message.reply.split(".")
    stored = base.Stored(int(parts[-4]), message.subject, message.data)
    on_message(base.Delivery(stored, int(parts[-3])))


async def wait_until_listening(host: str, port: int, attempts: int = 200) -> None:
    """Returns once the server takes connections; raises BusError after `attempts` of 20 ms."""
    for _ in range(attempts):
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.02)
            continue
        writer.close()
        return
    raise base.BusError(f"no NATS server on {host}:{port}")
