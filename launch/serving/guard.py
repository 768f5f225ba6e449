"""Who may ask, and what a browser may do with the answer.

The page has no password: it trusts whoever reaches its address, which by default is this machine alone. But a browser
on this machine also runs the pages of strangers. Those are kept out: by the name they call us (a name of theirs that
they let point here, DNS rebinding), and by where a request comes from (forged requests).
"""

import ipaddress
import socket
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SAFE_METHODS = ("GET", "HEAD")
# Nothing runs but the page's own files: what a file's name or a result says can be shown, never be executed.
PAGE_POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
               "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
_HEADERS = {
    "Content-Security-Policy": PAGE_POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache"}


class Guard:
    """Answers 403 to strangers, and adds the headers to every answer that has not its own."""

    def __init__(self, application: ASGIApp, host: str) -> None:
        self._application = application
        self._names = {"localhost", host.lower(), socket.gethostname().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._application(scope, receive, send)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        answer = self._application if refusal is None else PlainTextResponse(refusal, 403)
        return await answer(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Headers) -> str | None:
        host = headers.get("host", "")
        if not self._is_ours(host):
            return "This page does not go by that name."
        if method in _SAFE_METHODS:
            return None
        # Browsers tell both; programs that are no browsers need neither.
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return "Requests from other pages are not taken."
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return "Requests from other pages are not taken."
        return None

    def _is_ours(self, host: str) -> bool:
        """A name of this machine, or a bare address: no stranger's name can be one."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
            if name in self._names:
                return True
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
