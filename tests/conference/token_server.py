# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""Tokens of a managed identity, as App Service hands them out, for the Service Bus emulator. Standard library only."""

import base64
import hashlib
import hmac
import http.server
import json
import os
import threading
import time
import urllib.parse


def _encoded(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def make_token(key, identity, end):
    """A JSON Web Token for Service Bus that the emulator with this key takes."""
    claims = {"aud": "https://servicebus.azure.net", "oid": identity, "exp": end}
    text = ".".join(_encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"{text}.{_encoded(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest())}"


class TokenServer:
    """Serves on its own loopback port, and names itself in the environment, which the conference inherits."""

    secret = "header-of-a-test"

    def __init__(self, key, identity):
        self.requests = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests += 1
                query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
                is_right = (self.headers["X-IDENTITY-HEADER"] == outer.secret and query["api-version"] == ["2019-08-01"]
                            and query["resource"] == ["https://servicebus.azure.net"])
                end = int(time.time()) + 3600
                answer = ({"access_token": make_token(key, identity, end), "expires_on": str(end), "token_type": "Bearer"}
                          if is_right else {"statusCode": 400, "message": "not as App Service wants it"})
                body = json.dumps(answer).encode()
                self.send_response(200 if is_right else 400)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        os.environ["IDENTITY_ENDPOINT"] = f"http://127.0.0.1:{self.server.server_port}/msi/token"
        os.environ["IDENTITY_HEADER"] = self.secret

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
