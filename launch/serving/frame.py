"""Sends the files of a result to a browser, and the report for a frame of the page.

report.html contains scripts. The browser is told to give the report no origin, so its scripts cannot read this page,
send requests to the server as the page, or fetch anything from elsewhere.
"""

import pathlib

from starlette.responses import FileResponse, Response

REPORT = "report.html"
_POLICY = ("sandbox allow-scripts allow-downloads; default-src 'none'; style-src 'unsafe-inline'; "
           "script-src 'unsafe-inline'; img-src data: blob:; frame-ancestors 'self'")
# A page cannot measure a frame without an origin, so the report sends its own height. The heading of the report is
# hidden, because the page shows the same name.
_IN_A_FRAME = b"""<style>
main { padding-top: 0.5rem; padding-bottom: 0; }
header .kind, header h1 { display: none; }
</style>
<script>
new ResizeObserver(() => parent.postMessage({height: document.documentElement.offsetHeight}, "*"))
  .observe(document.documentElement);
</script>
"""
_SHOWN = {".png": "image/png", ".html": "text/html; charset=utf-8"}  # other files are sent as text or as a download
_TEXT = (".cif", ".csv", ".fit", ".json", ".pdb", ".res", ".txt", ".xyz")


def make_response(path: pathlib.Path, framed: bool) -> Response:
    """Returns the response that shows a file of a result.

    Args:
      path: the file.
      framed: whether report.html is shown in a frame of the page; it then sends its height to the page.
    """
    if path.name == REPORT:
        return Response(path.read_bytes() + _IN_A_FRAME * framed, media_type=_SHOWN[".html"],
                        headers={"Content-Security-Policy": _POLICY})
    if path.suffix in _TEXT:
        return FileResponse(path, media_type="text/plain; charset=utf-8")
    return FileResponse(path, media_type=_SHOWN.get(path.suffix, "application/octet-stream"))
