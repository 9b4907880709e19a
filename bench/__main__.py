"""`python -m bench [part ...]`: measure, print one table, and write docs/reference/performance.md after a full run."""

import argparse
import importlib
import signal
import sys
import time

from bench.figures import Figure, table
from bench.session import Session

PARTS = ("up", "memory", "click", "hub", "start", "many", "proxy", "pages", "curves", "experiments")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}, soak; default: all but soak")
    parser.add_argument("--quick", action="store_true", help="one round of everything, to see that it works")
    parser.add_argument("--write", action="store_true", help="write the page also after a part only")
    asked, rest = parser.parse_known_args(arguments)
    if asked.parts[:1] == ["soak"]:
        return importlib.import_module("bench.soak").main([*asked.parts[1:], *rest]) or 0
    unknown = [*rest, *(set(asked.parts) - set(PARTS))]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wanted = [part for part in PARTS if not asked.parts or part in asked.parts]
    figures, failed = _run(wanted, quick=asked.quick)
    print("\n" + "\n".join(table(figures)))
    if (not asked.parts and not asked.quick) or asked.write:
        from bench.page import page_write

        print(f"\nWritten to {page_write(figures, failed)}")
    return 1 if failed else 0


def _run(parts: list[str], *, quick: bool) -> tuple[list[Figure], list[str]]:
    """The figures, and the parts that broke; a target that is missed is a figure, not a failure."""
    figures: list[Figure] = []
    failed: list[str] = []
    with Session(quick=quick) as session:
        for part in parts:
            print(f"\n{part}", flush=True)
            started = time.monotonic()
            try:
                figures += importlib.import_module(f"bench.{part}").measure(session)
            except Exception as error:
                print(f"  {part} could not be measured: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
                failed.append(part)
            print(f"  took {time.monotonic() - started:.0f} s", flush=True)
    return figures, failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
