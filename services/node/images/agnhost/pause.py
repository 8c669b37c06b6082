"""pause: of agnhost, and the sandbox image of the name."""

from podwire.services.node.images.serving import run_for_ever
from podwire.services.node.process import Process
from podwire.services.node.runtime.programs import handles_termination


@handles_termination
async def pause(process: Process) -> int:
    """Does nothing until it is ended."""
    if process.arguments[0] == "pause":
        await process.print("Paused\n")
    await run_for_ever()
    return 0
