"""Finding a user's application: `module:attribute` becomes a callable, or an error that says what is missing.

`python -m podwire.services.app.loading FOLDER MODULE:ATTRIBUTE` checks one in a process of its own.
"""

import importlib
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

Application = Callable[
    [dict[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]
]


class CannotLoad(Exception):
    """The application is not there; names module and attribute."""


def load_application(text: str, folder: str) -> Application:
    """The application. Raises CannotLoad."""
    module_name, colon, path = text.partition(":")
    if not (module_name and colon and path):
        raise CannotLoad(f"{text!r} is not of the form module:attribute")
    if folder and folder not in sys.path:
        sys.path.insert(0, folder)
    value: Any = _module(module_name, folder)
    for part in path.split("."):
        if not hasattr(value, part):
            raise CannotLoad(f"module {module_name!r} has no attribute {path!r}")
        value = getattr(value, part)
    if not callable(value):
        raise CannotLoad(f"{text!r} is not callable: an ASGI application is needed, not {type(value).__name__}")
    application: Application = value
    return application


def _module(name: str, folder: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise CannotLoad(f"no module {name!r} in {folder or 'the import path'}") from None
        raise CannotLoad(f"module {name!r} cannot be imported: {error}") from None
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{place.filename}:{place.lineno}"
        raise CannotLoad(f"module {name!r} cannot be imported: {type(error).__name__}: {error} ({where})") from None


if __name__ == "__main__":
    try:
        load_application(sys.argv[2], sys.argv[1])
    except CannotLoad as problem:
        sys.exit(str(problem))
