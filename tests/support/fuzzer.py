"""`make fuzz`: search for input that a parser does not handle, guided by coverage.

`python -m support.fuzzer PARSER [flags of libFuzzer]` runs one parser of `support.parsers` under Atheris.
"""

import sys

import atheris

with atheris.instrument_imports(include=["metricat_agent", "metricat_hub", "metricat_operator", "metricat_rules"]):
    from support.parsers import PARSERS


def main(name: str, flags: list[str]) -> None:
    """Run until the time is over, or until an undeclared error."""
    parser = PARSERS[name]

    def check(data: bytes) -> None:
        try:
            parser.parse(data)
        except parser.errors:
            return

    atheris.Setup([sys.argv[0], *flags], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
