"""A local server of files that fails, truncates, lacks and lies, as it is told."""

import collections
import contextlib
import http.server
import threading
from typing import NamedTuple


class Page(NamedTuple):
    """An answer with headers of its own."""

    body: bytes
    headers: dict[str, str]
    code: int = 200


class FileServer:
    """answers: name -> what to do at each request for it, the last for all that follow; what has none is a 404.

    "503" and the like are answered without a body, "hang up" and "cut" come to an early end, "page" is a web page, "no
    length" does not tell the file's size; bytes are the file; a Page has headers, too; ("to", address) redirects; any
    other word is the file that the server has for all names.
    """

    def __init__(self, body):
        self.body, self.answers, self.asked = body, {}, collections.Counter()
        self.at_once, self.most_at_once, self.lock = 0, 0, threading.Lock()

    def answer(self, name):
        with self.lock:
            plan = self.answers.get(name, ["404"])
            self.asked[name] += 1
            return plan[min(self.asked[name], len(plan)) - 1]


@contextlib.contextmanager
def serving(body=b"", prefix="/"):
    """A FileServer at `url`; names are paths without the prefix."""
    state = FileServer(body)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802 (the library's name)
            with state.lock:
                state.at_once += 1
                state.most_at_once = max(state.most_at_once, state.at_once)
            with contextlib.suppress(OSError):
                self.reply(state.answer(self.path.removeprefix(prefix)))
            with state.lock:
                state.at_once -= 1

        def reply(self, what):
            if what == "hang up":
                return
            if isinstance(what, Page):
                self.send_response(what.code)
                for name, value in (what.headers | {"Content-Length": str(len(what.body))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(what.body)
                return
            if isinstance(what, tuple):
                self.send_response(302)
                self.send_header("Location", what[1])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            file = b"<html>busy</html>" if what == "page" else what if isinstance(what, bytes) else state.body
            code = isinstance(what, str) and what.isdigit()
            self.send_response(int(what) if code else 200)
            if what != "no length":
                self.send_header("Content-Length", str(0 if code else len(file)))
            self.end_headers()
            if not code:
                self.wfile.write(file[: len(file) // 2] if what == "cut" else file)

        def log_message(self, *args):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{httpd.server_port}"
    try:
        yield state
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()
