"""A sign-in provider for tests: OpenID Connect's code flow on loopback, where whoever clicks a name is that person."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "bfai-test", "a-client-secret"
COOKIE_SECRET = "only-for-tests-and-longer-than-32-signs"
PEOPLE: Mapping[str, Mapping[str, str]] = {
    "alice": {"sub": "subject-of-alice", "email": "alice@example.com", "name": "Alice"},
    "bob": {"sub": "subject-of-bob", "email": "bob@example.com", "name": "Bob"},
}


class Provider:
    """Runs within `with`. `ago` is how many seconds ago everybody signed in."""

    def __init__(self) -> None:
        self.ago = 0.0
        self.key = RSAKey.generate_key(2048, {"kid": "one"})
        self.waiting: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(_Handler):
            of = provider

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Provider:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def secrets(self, file: Path, *, more: str = "") -> Path:
        """Writes what the app has to know of it."""
        file.write_text(
            f"{more}\n"
            "[auth]\n"
            'redirect_uri = "http://127.0.0.1:{port}/oauth2callback"\n'
            f'cookie_secret = "{COOKIE_SECRET}"\n'
            f'client_id = "{CLIENT}"\n'
            f'client_secret = "{SECRET}"\n'
            f'server_metadata_url = "{self.issuer}/.well-known/openid-configuration"\n'
        )
        return file

    def token(self, asked: Mapping[str, str]) -> dict[str, Any]:
        at = int(time.time() - self.ago)
        claims = {
            **PEOPLE[asked["person"]],
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": at,
            "exp": int(time.time()) + 3600,
        }
        if asked.get("nonce"):
            claims["nonce"] = asked["nonce"]
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key)
        return {"access_token": secrets.token_hex(16), "token_type": "Bearer", "expires_in": 3600, "id_token": signed}


class _Handler(BaseHTTPRequestHandler):
    of: Provider

    def do_GET(self) -> None:
        path, asked = urlsplit(self.path).path, {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
        match path:
            case "/.well-known/openid-configuration":
                self._json(
                    {
                        "issuer": self.of.issuer,
                        "authorization_endpoint": f"{self.of.issuer}/authorize",
                        "token_endpoint": f"{self.of.issuer}/token",
                        "jwks_uri": f"{self.of.issuer}/jwks",
                        "response_types_supported": ["code"],
                        "subject_types_supported": ["public"],
                        "id_token_signing_alg_values_supported": ["RS256"],
                        "code_challenge_methods_supported": ["S256"],
                    }
                )
            case "/jwks":
                self._json({"keys": [self.of.key.as_dict(private=False)]})
            case "/authorize":
                links = "".join(
                    f'<p><a href="/as?person={person}&{urlencode(asked)}">{person}</a></p>' for person in PEOPLE
                )
                self._say(200, "text/html", f"<html lang='en'><title>Who are you?</title>{links}</html>".encode())
            case "/as":
                code = secrets.token_hex(16)
                self.of.waiting[code] = asked
                self.send_response(302)
                self.send_header("Location", f"{asked['redirect_uri']}?code={code}&state={quote(asked['state'])}")
                self.end_headers()
            case _:
                self._say(404, "text/plain", b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        given = {name: values[0] for name, values in parse_qs(body).items()}
        asked = self.of.waiting.pop(given.get("code", ""), None)
        login = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        verified = base64.urlsafe_b64encode(hashlib.sha256(given.get("code_verifier", "").encode()).digest())
        if asked is None or self.headers.get("Authorization") != f"Basic {login}":
            self._say(400, "application/json", b'{"error": "invalid_grant"}')
        elif verified.decode().rstrip("=") != asked.get("code_challenge"):
            self._say(400, "application/json", b'{"error": "invalid_request"}')
        else:
            self._json(self.of.token(asked))

    def _json(self, value: object) -> None:
        self._say(200, "application/json", json.dumps(value).encode())

    def _say(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""
