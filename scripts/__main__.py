"""The podwire command: `podwire`, or `python -m podwire.scripts`."""

import sys

from podwire.scripts.commands.app import build
from podwire.scripts.errors import UserError


def main() -> None:
    """Runs the command line; what a user did wrong is one line, never a traceback."""
    try:
        build(sys.argv[1] if len(sys.argv) > 1 else "")(standalone_mode=True)
    except UserError as error:
        sys.stderr.write(f"podwire: {error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
