"""agnhost guestbook (guestbook.go): a store with replicas, and the page that asks them."""

import asyncio
import functools
import json
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from podwire.services.node.images.agnhost.dial import DialFailure, dial_http, refusal
from podwire.services.node.images.agnhost.go import error_text, log, lookup_error, resolve, to_json
from podwire.services.node.images.agnhost.options import number, read_options
from podwire.services.node.images.http_server import HttpServer, Request, Response
from podwire.services.node.images.serving import run_all
from podwire.services.node.network.dns_exchange import ResolutionFailure
from podwire.services.node.process import Process
from podwire.services.node.programs.system import own_addresses

_REGISTERING: Final = 15
"""Seconds that registering may take."""
_MOST_KEYS: Final = 10_000


class NotRegistered(OSError):
    """The primary could not be reached in time."""


@dataclass(slots=True)
class Guestbook:
    """One node of it."""

    process: Process
    backend: int
    store: dict[str, str] = field(default_factory=dict)
    replicas: list[str] = field(default_factory=list)

    async def ask(self, host: str, what: str) -> str:
        """The body of another node's answer. Raises DialFailure and ResolutionFailure."""
        return await dial_http(self.process, what, (await resolve(self.process, host), self.backend))


async def guestbook(process: Process) -> int:
    """guestbook [--http-port 80] [--backend-port 6379] [--replicaof HOST]"""
    flags = {"http-port": "80", "backend-port": "6379", "replicaof": ""}
    options = read_options(process.arguments[1:], flags)
    node = Guestbook(process, number(options, "backend-port"))
    port = number(options, "http-port")
    try:
        server = HttpServer(process, functools.partial(_answer, node)).run(port)
        await run_all([server, _register(node, options.value("replicaof"))])
    except NotRegistered as error:
        await log(process, str(error))
    except OSError as error:
        await log(process, f"listen tcp :{port}: bind: {error_text(error)}")
    return 1


async def _register(node: Guestbook, primary: str) -> None:
    for _ in range(_REGISTERING if primary else 0):
        own = (own_addresses(node.process) or ["127.0.0.1"])[0]
        try:
            document = json.loads(await node.ask(primary, f"register?host={own}"))
            node.store.update({str(key): str(value) for key, value in document["data"].items()})
        except (DialFailure, ResolutionFailure, ValueError, KeyError, TypeError, AttributeError) as error:
            await log(node.process, f"encountered error while registering to primary: {error}. Retrying in 1s.")
            await asyncio.sleep(1)
            continue
        await log(node.process, f"Registered to node: {primary}")
        return
    if primary:
        raise NotRegistered("Timed out while registering to primary.")


async def _answer(node: Guestbook, request: Request) -> Response:
    query = request.query
    key, value = query.get("key", ""), query.get("value", "")
    match request.path:
        case "/register":
            node.replicas.append(query.get("host", ""))
            await log(node.process, f"Node '{query.get('host', '')}' registered.")
            return Response(body=to_json({"data": node.store}))
        case "/get":
            return Response(body=to_json({"data": node.store.get(key, "") if key else node.store}))
        case "/set":
            return await _set(node, key, value)
        case "/guestbook":
            return await _proxied(node, query.get("cmd", "").lower(), key, value)
    return Response(404, b"404 page not found\n", headers=(("X-Content-Type-Options", "nosniff"),))


async def _set(node: Guestbook, key: str, value: str) -> Response:
    if not key or len(node.store) >= _MOST_KEYS:
        return refusal("cannot set with empty key." if not key else "the store is full")
    node.store[key] = value
    for replica in node.replicas:
        try:
            await node.ask(replica, f"set?key={quote(key)}&value={quote(value)}")
        except (DialFailure, ResolutionFailure) as error:
            return Response(417, f"encountered error while propagating to replica '{replica}': {error}\n".encode())
    return Response(body=to_json({"message": "Updated"}))


async def _proxied(node: Guestbook, command: str, key: str, value: str) -> Response:
    if command not in ("get", "set"):
        return refusal(f"unsupported cmd: '{command}'")
    if command == "set" and not key:
        return refusal("cannot set with empty key.")
    host = "agnhost-primary" if command == "set" else "agnhost-replica"
    try:
        return Response(body=(await node.ask(host, f"{command}?key={quote(key)}&value={quote(value)}")).encode())
    except ResolutionFailure as failure:
        return refusal(f"host and/or port param are invalid. {lookup_error(node.process, failure)}")
    except DialFailure as failure:
        return Response(417, f"encountered error: {failure}\n".encode())
