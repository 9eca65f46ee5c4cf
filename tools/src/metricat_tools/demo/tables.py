"""Tables for a terminal: columns as wide as their widest cell, numbers aligned to the right."""

from collections.abc import Sequence

Cell = str | float


def table(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Return the rows below their header, indented by two spaces. Floats have one decimal."""
    lines = [[_text(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    numeric = [all(isinstance(row[column], float) for row in rows) for column in range(len(header))]
    return "\n".join(
        "  "
        + "   ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    )


def _text(cell: Cell) -> str:
    return f"{cell:.1f}" if isinstance(cell, float) else cell
