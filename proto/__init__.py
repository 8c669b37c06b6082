"""What two processes must agree on, and nothing else: no I/O, no asyncio."""
