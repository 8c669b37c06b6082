"""A small Redis: strings, counters, expiry, PING, INFO and a few more."""

from dataclasses import dataclass, field
from typing import Final

from podwire.services.chassis.clock import MILLISECOND, SECOND
from podwire.services.node.images.resp import MOST_BYTES, ProtocolFailure, Reader, bulk, integer
from podwire.services.node.images.tcp_server import serve_tcp
from podwire.services.node.network.sockets import TcpStream
from podwire.services.node.process import Process
from podwire.services.node.programs.calendar import format_date
from podwire.services.node.runtime.programs import handles_termination

VERSION: Final = "7.4.2"
_MOST_KEYS: Final = 100_000


class CommandFailure(ValueError):
    """A command that is refused, with Redis's text."""


@dataclass(slots=True)
class Store:
    """Keys with values and, for some, the time they expire (ns since the epoch)."""

    values: dict[bytes, bytes] = field(default_factory=dict)
    expires: dict[bytes, int] = field(default_factory=dict)
    commands: int = 0
    connections: int = 0
    started: int = 0

    def get(self, key: bytes, now: int) -> bytes | None:
        """The value, None if there is none any more."""
        if self.expires.get(key, now + 1) <= now:
            self.remove(key)
        return self.values.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        """Sets a value without expiry. Raises CommandFailure when full."""
        if key not in self.values and len(self.values) >= _MOST_KEYS:
            raise CommandFailure("OOM command not allowed when used memory > 'maxmemory'.")
        self.values[key] = value
        self.expires.pop(key, None)

    def remove(self, key: bytes) -> bool:
        """Whether there was one."""
        self.expires.pop(key, None)
        return self.values.pop(key, None) is not None


def _number(text: bytes) -> int:
    try:
        value = int(text) if len(text) < 20 else None
    except ValueError:
        value = None
    if value is None:
        raise CommandFailure("ERR value is not an integer or out of range")
    return value


def execute(store: Store, words: list[bytes], now: int) -> bytes:
    """One command's reply. Raises CommandFailure. `now` in ns since the epoch."""
    store.commands += 1
    name, arguments = words[0].upper().decode(errors="replace"), words[1:]
    least = {"GET": 1, "SET": 2, "DEL": 1, "EXISTS": 1, "INCR": 1, "DECR": 1, "INCRBY": 2, "ECHO": 1, "TTL": 1}
    least |= {"EXPIRE": 2, "APPEND": 2, "STRLEN": 1, "KEYS": 1, "MGET": 1}
    if len(arguments) < least.get(name, 0):
        raise CommandFailure(f"ERR wrong number of arguments for '{name.lower()}' command")
    match name:
        case "PING":
            return bulk(arguments[0]) if arguments else b"+PONG\r\n"
        case "ECHO":
            return bulk(arguments[0])
        case "GET":
            return bulk(store.get(arguments[0], now))
        case "MGET":
            return b"*%d\r\n" % len(arguments) + b"".join(bulk(store.get(key, now)) for key in arguments)
        case "SET":
            return _set(store, arguments, now)
        case "DEL" | "UNLINK":
            return integer(sum(store.remove(key) for key in arguments))
        case "EXISTS":
            return integer(sum(store.get(key, now) is not None for key in arguments))
        case "INCR" | "DECR" | "INCRBY":
            step = _number(arguments[1]) if name == "INCRBY" else 1 if name == "INCR" else -1
            return _increment(store, arguments[0], step, now)
        case "APPEND":
            value = (store.get(arguments[0], now) or b"") + arguments[1]
            store.put(arguments[0], value[:MOST_BYTES])
            return integer(len(value))
        case "STRLEN":
            return integer(len(store.get(arguments[0], now) or b""))
    return _about_keys(store, name, arguments, now)


def _about_keys(store: Store, name: str, arguments: list[bytes], now: int) -> bytes:
    match name:
        case "EXPIRE":
            if store.get(arguments[0], now) is None:
                return integer(0)
            store.expires[arguments[0]] = now + _number(arguments[1]) * SECOND
            return integer(1)
        case "TTL":
            if store.get(arguments[0], now) is None:
                return integer(-2)
            expires = store.expires.get(arguments[0])
            return integer(-1 if expires is None else max(0, expires - now) // SECOND)
        case "KEYS":
            prefix, star, _ = arguments[0].partition(b"*")
            keys = [key for key in list(store.values) if store.get(key, now) is not None]
            found = [key for key in keys if (key.startswith(prefix) if star else key == prefix)]
            return b"*%d\r\n" % len(found) + b"".join(bulk(key) for key in found)
        case "DBSIZE":
            return integer(len(store.values))
        case "FLUSHALL" | "FLUSHDB":
            store.values.clear()
            store.expires.clear()
            return b"+OK\r\n"
        case "SELECT" | "CLIENT":
            return b"+OK\r\n"
        case "COMMAND":
            return b"*0\r\n"
        case "INFO":
            return bulk(_info(store, now).encode())
    raise CommandFailure(f"ERR unknown command '{name.lower()}', with args beginning with: ")


def _set(store: Store, arguments: list[bytes], now: int) -> bytes:
    key, value, options = arguments[0], arguments[1], [word.upper() for word in arguments[2:]]
    there = store.get(key, now) is not None
    if (b"NX" in options and there) or (b"XX" in options and not there):
        return bulk(None)
    store.put(key, value)
    for unit, length in ((b"EX", SECOND), (b"PX", MILLISECOND)):
        if unit in options:
            at = options.index(unit) + 1
            if at >= len(options):
                raise CommandFailure("ERR syntax error")
            store.expires[key] = now + _number(options[at]) * length
    return b"+OK\r\n"


def _increment(store: Store, key: bytes, step: int, now: int) -> bytes:
    value = _number(store.get(key, now) or b"0") + step
    expires = store.expires.get(key)
    store.put(key, str(value).encode())
    if expires is not None:
        store.expires[key] = expires
    return integer(value)


def _info(store: Store, now: int) -> str:
    lines = ["# Server", f"redis_version:{VERSION}", "redis_mode:standalone", "tcp_port:6379"]
    lines += [f"uptime_in_seconds:{(now - store.started) // SECOND}", "", "# Clients"]
    lines += [f"connected_clients:{store.connections}", "", "# Stats", f"total_commands_processed:{store.commands}"]
    lines += ["", "# Replication", "role:master", "connected_slaves:0", "", "# Keyspace"]
    lines += [f"db0:keys={len(store.values)},expires={len(store.expires)},avg_ttl=0"] if store.values else []
    return "\r\n".join([*lines, ""])


@handles_termination
async def redis_server(process: Process) -> int:
    """redis-server [--port PORT]"""
    words = process.arguments[1:]
    port = words[words.index("--port") + 1] if "--port" in words[:-1] else "6379"
    if not port.isdigit() or not 0 < int(port[:6]) < 65536:
        await process.complain(f"*** FATAL CONFIG FILE ERROR (Redis {VERSION}) ***\nInvalid port")
        return 1
    store = Store(started=process.clock.now_ns())

    async def attend(stream: TcpStream) -> None:
        store.connections += 1
        try:
            await _attend(process, store, stream)
        finally:
            store.connections -= 1

    when = format_date("%d %b %Y %H:%M:%S.%L", process.clock.now_ns())
    await process.print(f"1:C {when} * Redis version={VERSION}, bits=64, pid=1, just started\n")
    await process.print(f"1:M {when} * Ready to accept connections tcp\n")
    try:
        await serve_tcp(process.network, int(port), attend)
    except OSError as error:
        await process.print(f"1:M {when} # Could not create server TCP listening socket *:{port}: {error.strerror}\n")
    return 1


async def _attend(process: Process, store: Store, stream: TcpStream) -> None:
    reader = Reader(stream)
    while True:
        try:
            words = await reader.command()
        except ProtocolFailure as failure:
            await stream.write(f"-ERR Protocol error: {failure}\r\n".encode())
            return
        if words is None:
            return
        if not words:
            continue
        if words[0].upper() == b"QUIT":
            await stream.write(b"+OK\r\n")
            return
        try:
            await stream.write(execute(store, words, process.clock.now_ns()))
        except CommandFailure as failure:
            await stream.write(f"-{failure}\r\n".encode())
