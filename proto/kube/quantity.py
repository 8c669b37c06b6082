"""Resource quantities (apimachinery `api/resource/quantity.go`): exact, as thousandths."""

import re
from decimal import Decimal
from typing import Final

_FORM: Final = re.compile(r"^([+-]?(?:\d+(?:\.\d*)?|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?\d{1,3})?$")
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


class QuantityError(ValueError):
    """Text that is no quantity."""


def thousandths(value: object) -> int:
    """The quantity in thousandths, rounded up; raises QuantityError."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise QuantityError(f"not a quantity: {value!r}")
    match = _FORM.match(str(value))
    if match is None:
        raise QuantityError(
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        )
    scaled = Decimal(match[1]) * _factor(match[2] or "") * 1000
    return int(scaled.to_integral_value(rounding="ROUND_CEILING"))


def _factor(suffix: str) -> Decimal:
    if suffix in _BINARY:
        return Decimal(1 << _BINARY[suffix])
    if suffix in _DECIMAL:
        return Decimal(10) ** _DECIMAL[suffix]
    return Decimal(10) ** int(suffix[1:])
