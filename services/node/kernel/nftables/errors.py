"""What nft refuses, with where in the text it stood."""


class NftError(Exception):
    """`message` as nft words it; `line`, `column` (1-based) and `length` of the offending word; line 0: not known."""

    def __init__(self, message: str, line: int = 0, column: int = 0, length: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
        self.length = length

    def shown(self, text: str, name: str = "") -> str:
        """The error as nft prints it, with the line and a mark below the word; `name` is the file's, if any."""
        lines = text.splitlines() or [""]
        line = lines[min(max(self.line, 1), len(lines)) - 1]
        column = max(self.column, 1)
        place = f"{name}:{self.line}:{column}-{column + self.length - 1}: " if name else ""
        blanks = "".join("\t" if letter == "\t" else " " for letter in line[: column - 1])
        return f"{place}Error: {self.message}\n{line}\n{blanks.ljust(column - 1)}{'^' * self.length}\n"
