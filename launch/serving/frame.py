"""The files of a result in a browser: each as what it is, and the report in a frame of the page.

report.html brings scripts of its own, all in the file. It is given no origin: whatever is in it, it can neither ask
this page for anything nor reach it, nor fetch from elsewhere.
"""

import pathlib

from starlette.responses import FileResponse, Response

REPORT = "report.html"
_POLICY = ("sandbox allow-scripts allow-downloads; default-src 'none'; style-src 'unsafe-inline'; "
           "script-src 'unsafe-inline'; img-src data: blob:; frame-ancestors 'self'")
# A frame without an origin cannot be measured from outside: it tells how high it is. What is the page's own already,
# is not shown twice.
_IN_A_FRAME = b"""<style>
main { padding-top: 0.5rem; padding-bottom: 0; }
header .kind, header h1 { display: none; }
</style>
<script>
new ResizeObserver(() => parent.postMessage({height: document.documentElement.offsetHeight}, "*"))
  .observe(document.documentElement);
</script>
"""
_SHOWN = {".png": "image/png", ".html": "text/html; charset=utf-8"}  # all else is text, or for keeping only
_TEXT = (".csv", ".fit", ".json", ".pdb", ".txt", ".xyz")


def shown(path: pathlib.Path, framed: bool) -> Response:
    """A file of a result, to be looked at; framed: the report within the page."""
    if path.name == REPORT:
        return Response(path.read_bytes() + _IN_A_FRAME * framed, media_type=_SHOWN[".html"],
                        headers={"Content-Security-Policy": _POLICY})
    if path.suffix in _TEXT:
        return FileResponse(path, media_type="text/plain; charset=utf-8")
    return FileResponse(path, media_type=_SHOWN.get(path.suffix, "application/octet-stream"))
