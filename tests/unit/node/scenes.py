"""Two pods talking: servers in the pod `server`, one program in the pod `client`, names from a small DNS server."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from surroundings import SERVER, Machine, Result

from podwire.services.node.images.catalogue import find_image
from podwire.services.node.network.sockets import TcpStream

RESOLV = b"search default.svc.cluster.local svc.cluster.local\nnameserver 10.244.1.3\noptions ndots:5\n"
ZONE = {"my-api.default.svc.cluster.local.": "10.96.0.7", "web.default.svc.cluster.local.": SERVER}
Server = Callable[[Machine], Coroutine[Any, Any, None]]


def answer(wire: bytes) -> bytes:
    """What a DNS server for ZONE answers."""
    query = dns.message.from_wire(wire)
    response = dns.message.make_response(query)
    response.flags |= dns.flags.AA
    name = query.question[0].name.to_text()
    if name not in ZONE:
        response.set_rcode(dns.rcode.NXDOMAIN)
    elif query.question[0].rdtype == 1:
        response.answer.append(dns.rrset.from_text(name, 30, "IN", "A", ZONE[name]))
    return response.to_wire()


async def serve_dns(machine: Machine) -> None:
    """A DNS server in the pod `server`."""
    channel = machine.process([], machine.nobody, bytearray(), bytearray(), "server").network.open_udp(53)
    while True:
        datagram = await channel.receive()
        channel.send(answer(datagram.payload), datagram.source)


async def serve_image(machine: Machine, image_name: str, *words: str, log: bytearray | None = None) -> None:
    """An image's main program in the pod `server`."""
    image = find_image(image_name, [("TCP", 8080)])
    machine.folder_of_image(dict(image.files))
    arguments = [*image.entrypoint, *(words or image.arguments)]
    process = machine.process(arguments, machine.nobody, log if log is not None else bytearray(), bytearray(), "server")
    process.programs, process.is_main = image.programs, True
    program = image.programs.get(arguments[0].rpartition("/")[2])
    assert program is not None
    await program(process)


async def serve_bytes(machine: Machine, port: int, reply: bytes, *, silent: bool = False) -> None:
    """A TCP server that sends some bytes and closes, or says nothing at all."""
    network = machine.process([], machine.nobody, bytearray(), bytearray(), "server").network
    kept: list[asyncio.Task[None]] = []

    async def attend(stream: TcpStream) -> None:
        if silent:
            await asyncio.sleep(10_000)
        await stream.read()
        await stream.write(reply)
        stream.close()

    network.listen(port, lambda stream: kept.append(asyncio.get_running_loop().create_task(attend(stream))))
    await asyncio.get_running_loop().create_future()


def talk(arguments: list[str], *servers: Server, program: Any = None, files: dict[str, bytes] | None = None) -> Result:
    """A program in the pod `client` while servers run in the pod `server`."""

    async def scene(machine: Machine) -> Result:
        tasks = [asyncio.get_running_loop().create_task(server(machine)) for server in servers]
        await asyncio.sleep(0.001)
        try:
            return await machine.run(arguments, program=program)
        finally:
            for task in tasks:
                task.cancel()

    result: Result = Machine(files={"/etc/resolv.conf": RESOLV, **(files or {})}).play(scene)
    return result
