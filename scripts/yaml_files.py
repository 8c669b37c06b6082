"""YAML that people write: what cannot be read is refused in one line that says where and what is needed."""

from pathlib import Path
from typing import Any

import yaml

from podwire.scripts.errors import UserError


def read_text(name: str, wanted: str) -> str:
    """The text of a file, for whoever wants `wanted` ("a YAML plan"). Raises UserError."""
    try:
        return Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(str(error.strerror)) from None
    except UnicodeDecodeError:
        raise UserError(f"it is not UTF-8 text; {wanted} is needed") from None


def parse_documents(text: str, wanted: str) -> list[Any]:
    """Every document of a text. Raises UserError."""
    try:
        return list(yaml.safe_load_all(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise UserError(f"{where}{error.problem}; {wanted} is needed") from None
    except (yaml.YAMLError, ValueError) as error:  # a character or a date that there is not
        raise UserError(f"{' '.join(str(error).split())}; {wanted} is needed") from None


def parse_document(text: str, wanted: str) -> Any:
    """The only document of a text (None if it is empty). Raises UserError."""
    documents = parse_documents(text, wanted)
    if len(documents) > 1:
        raise UserError(f"{len(documents)} documents; {wanted} is one")
    return documents[0] if documents else None
