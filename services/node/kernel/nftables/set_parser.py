"""The elements of sets and maps (nftables src/parser_bison.y, set_block and set_elem_expr)."""

import re
from typing import TYPE_CHECKING, Any, Final

from podwire.services.node.kernel.nftables.datatypes import VERDICT, Datatype, Range
from podwire.services.node.kernel.nftables.errors import NftError
from podwire.services.node.kernel.nftables.reader import Reader
from podwire.services.node.kernel.nftables.sets import Element

if TYPE_CHECKING:
    from podwire.services.node.kernel.nftables.rule_parser import RuleParser

SECOND: Final = 1_000_000_000
_UNITS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_TIME: Final = re.compile(r"(?:\d+[dhms])+|\d+")


def seconds(text: str) -> int:
    """The ns of `1d2h3m4s` or of plain seconds; NftError if it is no time."""
    if not _TIME.fullmatch(text):
        raise NftError(f"syntax error, unexpected {text}")
    if text.isdigit():
        return int(text) * SECOND
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([dhms])", text)) * SECOND


def format_seconds(nanoseconds: int) -> str:
    """`3h`, `1d2h`; what is less than a second is left out."""
    rest, words = nanoseconds // SECOND, []
    for unit, length in _UNITS.items():
        if rest >= length:
            words.append(f"{rest // length}{unit}")
            rest %= length
    return "".join(words) or "0s"


class SetParser:
    """Reads elements of given key and data types."""

    def __init__(
        self, reader: Reader, fields: tuple[Datatype, ...], data: tuple[Datatype, ...], rules: "RuleParser | None"
    ) -> None:
        self._reader = reader
        self._fields = fields
        self._data = data
        self._rules = rules

    def elements(self) -> list[Element]:
        """`{ a, b : c, … }`."""
        reader = self._reader
        reader.expect("{")
        found = []
        reader.skip_newlines()
        while not reader.take_if("}"):
            found.append(self.element())
            reader.skip_newlines()
            if not reader.take_if(","):
                reader.skip_newlines()
                reader.expect("}")
                break
            reader.skip_newlines()
        return found

    def element(self) -> Element:
        """One element with its options and data."""
        reader = self._reader
        is_default = reader.take_if("*")
        element = Element(() if is_default else self._ranges(self._fields), is_default=is_default)
        while reader.peek().text in ("timeout", "expires", "comment"):
            self._option(element)
        if self._data:
            reader.expect(":")
            element.data = self._datum()
        return element

    def _option(self, element: Element) -> None:
        option = self._reader.next().text
        value = self._reader.text()
        if option == "timeout":
            element.timeout = seconds(value)
        elif option == "comment":
            element.comment = value

    def _datum(self) -> Any:
        if self._data == (VERDICT,):
            if self._rules is None:
                raise self._reader.unexpected()
            return self._rules.verdict()
        return tuple(low for low, _ in self._ranges(self._data))

    def _ranges(self, fields: tuple[Datatype, ...]) -> tuple[Range, ...]:
        found = [self._range(fields[0])]
        for datatype in fields[1:]:
            self._reader.expect(".")
            found.append(self._range(datatype))
        return tuple(found)

    def _range(self, datatype: Datatype) -> Range:
        token = self._reader.next()
        if token.kind not in ("word", "string"):
            raise self._reader.unexpected(back=1)
        try:
            low, high = datatype.parse_range(token.text)
            if self._reader.take_if("-"):
                high = datatype.parse(self._reader.text())
        except NftError as error:
            raise NftError(error.message, token.line, token.column, len(token.text)) from None
        while datatype.is_mask and self._reader.take_if("|"):
            low = high = int(low) | int(datatype.parse(self._reader.text()))
        return low, high
