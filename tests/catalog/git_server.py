"""Real Git repositories behind a real HTTP server: plain files (the dumb protocol), or git's own http-backend with a
password in front (the smart one)."""

import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

GIT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_AUTHOR_NAME": "pete",
    "GIT_AUTHOR_EMAIL": "pete@example.com",
    "GIT_COMMITTER_NAME": "pete",
    "GIT_COMMITTER_EMAIL": "pete@example.com",
    "GIT_CONFIG_NOSYSTEM": "1",
}


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], env=GIT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


class Repository:
    """A working copy and the bare repository that is served."""

    def __init__(self, root: Path, name: str = "modules") -> None:
        self.work, self.bare = root / "work" / name, root / "served" / f"{name}.git"
        self.work.mkdir(parents=True)
        git(self.work, "init", "-q", "-b", "main")
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(self.bare)], env=GIT, check=True)

    def commit(self, message: str = "more", *, tag: str = "", branch: str = "main") -> str:
        git(self.work, "add", "-A")
        git(self.work, "commit", "-q", "--allow-empty", "-m", message)
        git(self.work, "push", "-q", str(self.bare), f"HEAD:refs/heads/{branch}")
        if tag:
            git(self.work, "tag", tag)
            git(self.work, "push", "-q", str(self.bare), tag)
        git(self.bare, "update-server-info")
        return git(self.work, "rev-parse", "HEAD")


@contextmanager
def served(root: Path, *, token: str = "") -> Iterator[str]:
    """The address of the folder of bare repositories; with a token only who has it gets in, by the smart protocol."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, directory=str(root / "served"), **options)

        def log_message(self, *arguments: Any) -> None:
            pass

        def do_GET(self) -> None:
            if not token:
                super().do_GET()
            elif self.allowed():
                self.backend(b"")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if self.allowed():
                self.backend(body)

        def allowed(self) -> bool:
            expected = "Basic " + base64.b64encode(f"x-token-auth:{token}".encode()).decode()
            if self.headers.get("Authorization") == expected:
                return True
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return False

        def backend(self, body: bytes) -> None:
            path, _, query = self.path.partition("?")
            environment = {
                **GIT,
                "GIT_PROJECT_ROOT": str(root / "served"),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "REMOTE_USER": "x",
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            }
            done = subprocess.run(["git", "http-backend"], env=environment, input=body, capture_output=True, check=True)
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
