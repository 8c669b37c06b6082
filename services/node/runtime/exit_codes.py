"""Exit codes that the runtime gives by itself (128 + signal, and the shell's for what cannot be run)."""

from typing import Final

KILLED: Final = 137
TERMINATED: Final = 143
NOT_FOUND: Final = 127
NEVER_RAN: Final = -1
"""No program ran; the message says why."""
START_ERROR: Final = 128
"""What containerd reports when a container's program cannot be started."""
