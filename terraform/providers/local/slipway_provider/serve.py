"""Serving Terraform's plugin protocol 6.

`tf.runner.run_provider` stops its server on StopProvider, which Terraform sends at the first interrupt: the call in
flight dies and what it created is missing from the state. Here that call completes; only the shutdown at the end ends
the process.
"""

import base64
import json
import os
import signal
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from tf.gen import grpc_controller_pb2 as controller_pb
from tf.gen import grpc_controller_pb2_grpc as controller_rpc
from tf.gen import grpc_stdio_pb2_grpc as stdio_rpc
from tf.gen import tfplugin_pb2_grpc as rpc
from tf.provider import ProviderServicer

CERTIFICATE_LIFE_S = 7 * 86400
ORPHAN_CHECK_S = 1.0


class _Controller(controller_rpc.GRPCControllerServicer):
    """go-plugin's control service: the one way in which Terraform ends this process."""

    def __init__(self) -> None:
        self.shutdown = threading.Event()

    def Shutdown(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        self.shutdown.set()
        return controller_pb.Empty()


class _Stdio(stdio_rpc.GRPCStdioServicer):
    def StreamStdio(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        return iter(())


def serve(provider: Any) -> None:
    """Answer Terraform until it asks for the shutdown, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    controller = _Controller()
    server = grpc.server(ThreadPoolExecutor(max_workers=16))
    rpc.add_ProviderServicer_to_server(ProviderServicer(provider), server)
    controller_rpc.add_GRPCControllerServicer_to_server(controller, server)
    stdio_rpc.add_GRPCStdioServicer_to_server(_Stdio(), server)
    parent = os.getppid()
    with tempfile.TemporaryDirectory(prefix="slipway-") as directory:
        path = f"{directory}/provider.sock"
        key, certificate, der = _certificate()
        server.add_secure_port(f"unix://{path}", grpc.ssl_server_credentials([(key, certificate)]))
        server.start()
        encoded = base64.b64encode(der).decode().rstrip("=")
        print(f"1|6|unix|{path}|grpc|{encoded}", flush=True)
        while not controller.shutdown.wait(ORPHAN_CHECK_S):
            if os.getppid() != parent:
                break
        # The answer to the shutdown leaves first; everything else has been answered by then.
        server.stop(grace=0.2).wait(0.3)
    sys.stdout.flush()
    # Skips tearing down grpc's threads: Terraform waits for the end of this process, several times a command.
    os._exit(0)


def _certificate() -> tuple[bytes, bytes, bytes]:
    """(key PEM, certificate PEM, certificate DER), kept in the user's cache while they are valid.

    The socket already lies in a private directory; go-plugin wants TLS none the less.
    """
    cache = Path(os.environ.get("HOME") or tempfile.gettempdir()) / ".cache" / "slipway-provider" / "certificate.json"
    try:
        held = json.loads(cache.read_text())
        if held["not_after"] > time.time() + 3600:
            der = base64.b64decode(held["der"])
            return held["key"].encode(), held["certificate"].encode(), der
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    key, certificate, der = _certificate_new()
    held = {
        "key": key.decode(),
        "certificate": certificate.decode(),
        "der": base64.b64encode(der).decode(),
        "not_after": time.time() + CERTIFICATE_LIFE_S,
    }
    try:
        cache.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd, temporary = tempfile.mkstemp(dir=cache.parent)
        with os.fdopen(fd, "w") as file:
            json.dump(held, file)
        os.replace(temporary, cache)
    except OSError:
        pass
    return key, certificate, der


def _certificate_new() -> tuple[bytes, bytes, bytes]:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(seconds=CERTIFICATE_LIFE_S))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return (
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        certificate.public_bytes(serialization.Encoding.PEM),
        certificate.public_bytes(serialization.Encoding.DER),
    )
