"""Prints every secret it was given, in more than one shape, and serves them to whoever the portal lets in."""

import http.server
import json
import os
import sys

told = {name: os.environ.get(name, "") for name in ("PASSWORD", "TRACKING", "TOKEN", "SLIPWAY_SECRET", "KEY")}
print("plain", told)
print("json", json.dumps(told))
print(f"address https://someone:{told['PASSWORD']}@example.org/?token={told['TOKEN']}")
print("error: PASSWORD is " + told["PASSWORD"], file=sys.stderr)
if os.environ["FAILS"] == "true":
    raise SystemExit("cannot go on with " + json.dumps(told))


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
