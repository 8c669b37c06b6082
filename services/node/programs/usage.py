"""How programs refuse a command line."""

from podwire.services.node.process import Process


async def refuse(process: Process, error: Exception, usage: str, code: int = 1) -> int:
    """Prints the complaint and the usage as busybox does; the exit code."""
    name = process.arguments[0].rpartition("/")[2]
    await process.complain(f"{name}: {error}")
    await process.complain(f"BusyBox v1.36.1 multi-call binary.\n\nUsage: {usage}")
    return code
