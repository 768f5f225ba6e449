"""Refuses requests from other sites, and limits what a browser may do with a response.

The page has no password: it trusts everyone who reaches its address, which by default is this machine alone. A browser
on this machine also runs pages of strangers. Two checks refuse those pages: the host name of the request (against DNS
rebinding, a stranger's name that points to this machine), and its origin (against forged requests).
"""

import ipaddress
import socket
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SAFE_METHODS = ("GET", "HEAD")
# Only the page's own scripts run; text from a file's name or a result can be shown and never be executed.
PAGE_POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
               "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
_HEADERS = {
    "Content-Security-Policy": PAGE_POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache"}


class Guard:
    """Middleware that answers 403 to requests from other sites and adds the security headers to every response."""

    def __init__(self, application: ASGIApp, host: str) -> None:
        """Wraps an application.

        Args:
          application: the application that answers the requests.
          host: the host name or address at which it is served, the value of --host.
        """
        self._application = application
        self._names = {"localhost", host.lower(), socket.gethostname().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; a header that the application sets itself is kept."""
        if scope["type"] != "http":
            return await self._application(scope, receive, send)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        respond = self._application if refusal is None else PlainTextResponse(refusal, 403)
        return await respond(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Headers) -> str | None:
        """Returns why a request is refused; None for a request that is served."""
        host = headers.get("host", "")
        if not self._is_ours(host):
            return "This server does not answer to this host name: open the address that launch.serve printed."
        if method in _SAFE_METHODS:
            return None
        # Browsers send both headers; other programs need to send neither.
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return "Requests from other pages are refused."
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return "Requests from other pages are refused."
        return None

    def _is_ours(self, host: str) -> bool:
        """Returns whether a host is a name of this machine or an IP address, which a stranger's name cannot be."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
            if name in self._names:
                return True
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
