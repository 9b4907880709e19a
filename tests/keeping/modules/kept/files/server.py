"""Answers with its pid and message to whoever has the environment's secret."""

import http.server
import json
import os
import signal
import sys
import time


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.headers.get("Authorization") != "token " + os.environ["SLIPWAY_SECRET"]:
            return self.send_error(403)
        raw = json.dumps({"message": os.environ["MESSAGE"], "started": STARTED}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)
        return None

    def log_message(self, *args):
        pass


def leave(number, frame):
    time.sleep(float(os.environ["STOP_S"]))
    sys.exit(0)


STARTED = time.time()
signal.signal(signal.SIGTERM, leave)
time.sleep(float(os.environ["HEALTH_S"]))
print("serving", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SLIPWAY_PORT"])), Handler).serve_forever()
