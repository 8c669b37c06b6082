"""What may name an object, a label, a port (apimachinery `util/validation/validation.go`), with upstream's messages.

Each function answers the problems of a value; an empty list means valid.
"""

import ipaddress
import re
from typing import Final

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_1035: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_LABEL_VALUE: Final = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_CONFIG_KEY: Final = re.compile(r"[-._a-zA-Z0-9]+")
_ENV_NAME: Final = re.compile(r"[ -<>-~]+")
_PORT_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")

_LABEL_TEXT: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_LABEL_1035_TEXT: Final = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_SUBDOMAIN_TEXT: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_QUALIFIED_TEXT: Final = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_LABEL_VALUE_TEXT: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def _at_most(value: str, limit: int) -> list[str]:
    return [f"must be no more than {limit} characters"] if len(value) > limit else []


def _matches(pattern: re.Pattern[str], value: str, text: str) -> list[str]:
    return [] if pattern.fullmatch(value) else [text]


def dns1123_label(value: str) -> list[str]:
    """RFC 1123 label."""
    return _at_most(value, 63) + _matches(_LABEL, value, _LABEL_TEXT)


def dns1035_label(value: str) -> list[str]:
    """RFC 1035 label (Service names)."""
    return _at_most(value, 63) + _matches(_LABEL_1035, value, _LABEL_1035_TEXT)


def dns1123_subdomain(value: str) -> list[str]:
    """RFC 1123 subdomain (most objects' names)."""
    return _at_most(value, 253) + _matches(_SUBDOMAIN, value, _SUBDOMAIN_TEXT)


def path_segment(value: str) -> list[str]:
    """RBAC names: anything that can stand in a path."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{mark}'" for mark in ("/", "%") if mark in value]


def canonical_ip(value: str) -> list[str]:
    """IPAddress names: the address's canonical form."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return [] if str(address) == value else [f"must be in canonical form ({address})"]


def label_key(value: str) -> list[str]:
    """A qualified name: optional DNS subdomain prefix, slash, name."""
    prefix, slash, name = value.rpartition("/")
    problems: list[str] = []
    if slash and not prefix:
        problems.append("prefix part must be non-empty")
    elif slash:
        problems += ["prefix part " + text for text in dns1123_subdomain(prefix)]
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append("name part must be no more than 63 characters")
    return problems + _matches(_QUALIFIED, name, _QUALIFIED_TEXT)


def label_value(value: str) -> list[str]:
    """A label's value."""
    return _at_most(value, 63) + _matches(_LABEL_VALUE, value, _LABEL_VALUE_TEXT)


def config_key(value: str) -> list[str]:
    """A key of a ConfigMap or Secret."""
    text = (
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
        "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
    )
    return _at_most(value, 253) + _matches(_CONFIG_KEY, value, text)


def env_name(value: str) -> list[str]:
    """A container's environment variable name (relaxed form, since v1.30)."""
    text = "a valid environment variable name must consist only of printable ASCII characters other than '='"
    return _matches(_ENV_NAME, value, text)


def port_name(value: str) -> list[str]:
    """A container port's name (IANA_SVC_NAME, RFC 6335)."""
    problems = _at_most(value, 15)
    if not _PORT_NAME.fullmatch(value):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        problems.append("must contain at least one letter (a-z)")
    if "--" in value:
        problems.append("must not contain consecutive hyphens")
    return problems


def port_number(value: object) -> list[str]:
    """A port: 1 to 65535."""
    valid = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535
    return [] if valid else ["must be between 1 and 65535, inclusive"]


def ip_address(value: str) -> list[str]:
    """An IPv4 or IPv6 address, without a zone."""
    try:
        if "%" in value:
            raise ValueError
        ipaddress.ip_address(value)
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return []
