"""Completion indexes as text: `0,2-4` (kubernetes `pkg/controller/job/indexed_job_utils.go`)."""


def ranges(numbers: list[int]) -> str:
    """Numbers as the status has them: `0,2-4`."""
    parts: list[str] = []
    for number in sorted(dict.fromkeys(numbers)):
        first, _, last = parts[-1].partition("-") if parts else ("", "", "")
        if parts and int(last or first) + 1 == number:
            parts[-1] = f"{first}-{number}"
        else:
            parts.append(str(number))
    return ",".join(parts)


def numbers(text: str) -> list[int]:
    """The numbers of `0,2-4`; what cannot be read is left out."""
    found: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit() and int(last or first) - int(first) < 100_000:
            found += range(int(first), int(last or first) + 1)
    return found
