"""Stops this notebook instance when nobody has used it for a while. Cron runs it every five minutes, as root.

In use is a notebook in which a kernel computes, in which a kernel or a terminal has said or been told something within
the time, or whose processors have been busy for a quarter of an hour: a program in a terminal may be silent. An open
browser tab is no use. Python 3.7 and its standard library only, because that is what every platform has.
"""

import argparse
import json
import os
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from datetime import datetime

METADATA = "/opt/ml/metadata/resource-metadata.json"
BUSY_LOAD = 0.5


def asked(address, path):
    """What Jupyter says; its certificate is its own, made for this machine."""
    context = ssl._create_unverified_context() if address.startswith("https") else None  # noqa: S323
    with urllib.request.urlopen(address + path, timeout=30, context=context) as answer:  # noqa: S310 # nosemgrep
        return json.loads(answer.read().decode())


def moment(text):
    """Seconds since the epoch of Jupyter's "2026-01-31T12:00:00.123456Z"."""
    return datetime.strptime(text.partition(".")[0].rstrip("Z") + "+0000", "%Y-%m-%dT%H:%M:%S%z").timestamp()


def in_use_until(address, booted_at):
    """When it was last in use; infinity while a kernel computes."""
    last = booted_at
    for kernel in asked(address, "/api/kernels"):
        if kernel.get("execution_state") in ("busy", "starting"):
            return float("inf")
        last = max(last, moment(kernel["last_activity"]))
    for terminal in asked(address, "/api/terminals"):
        if terminal.get("last_activity"):
            last = max(last, moment(terminal["last_activity"]))
    return last


def booted_at():
    with open("/proc/uptime") as file:
        return time.time() - float(file.read().split()[0])


def stop(metadata):
    with open(metadata) as file:
        told = json.load(file)
    region = told["ResourceArn"].split(":")[3]
    command = ["aws", "sagemaker", "stop-notebook-instance", "--region", region]
    subprocess.run([*command, "--notebook-instance-name", told["ResourceName"]], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=int, required=True)
    parser.add_argument("--jupyter", default="https://localhost:8443")
    parser.add_argument("--metadata", default=METADATA)
    parser.add_argument("--booted-at", type=float)
    given = parser.parse_args()
    now = time.time()
    try:
        last = in_use_until(given.jupyter, given.booted_at if given.booted_at is not None else booted_at())
    except (OSError, ValueError, KeyError) as error:
        # One that cannot be asked may be in use.
        print(f"{now:.0f} Jupyter does not answer: {error}")
        return
    if now - last < given.minutes * 60:
        return
    if os.getloadavg()[2] >= BUSY_LOAD:
        print(f"{now:.0f} no notebook is in use, but the processors are")
        return
    print(f"{now:.0f} idle for {(now - last) / 60:.0f} minutes: stopping")
    stop(given.metadata)


if __name__ == "__main__":
    main()
