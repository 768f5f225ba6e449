"""Serves a local web page that takes a SAXS curve, a Patterson map or a crystal and shows the shape or the atoms found.

    python -m launch.serve [--host=127.0.0.1] [--port=8000] [--folder=out/serve]

It prints the address and runs until it is interrupted. Uploads, jobs and results lie in the folder. The next start
shows the results and restarts the interrupted jobs. The server needs the extra `serve`: pip install -e .[serve]
"""

import errno
import socket

from absl import flags

from launch import app
from phasenet.errors import InputError

_HOST = flags.DEFINE_string(
    "host", "127.0.0.1", "Address at which the server listens. By default only this machine reaches the server.")
_PORT = flags.DEFINE_integer(
    "port", 8000, "Port at which the server listens. With 0 the server takes any free port.", lower_bound=0,
    upper_bound=65535)
_FOLDER = flags.DEFINE_string("folder", "out/serve", "Folder for the uploads, the jobs and their results.")

_REASONS = {errno.EADDRINUSE: "is in use: give another --port (0 takes any free one)",
            errno.EACCES: "is not open to this user: give a --port of 1024 or higher",
            errno.EADDRNOTAVAIL: "is not an address of this machine"}


def main(_: list[str]) -> None:
    """Starts the server and runs it until it is interrupted.

    Raises:
      InputError: the address cannot be used, the extra is not installed, or the folder is a file.
    """
    listening = _listen(_HOST.value, _PORT.value)
    try:
        import uvicorn

        from launch.serving import web
    except ModuleNotFoundError as error:
        raise InputError(f"{error.name} is not installed: pip install -e .[serve]") from None
    folder = app.prepare_folder(_FOLDER.value, "--folder").resolve()
    application = web.make_application(folder, _HOST.value)
    config = uvicorn.Config(application, log_level="warning", server_header=False, timeout_keep_alive=5)
    server = uvicorn.Server(config)
    # The streams of events end themselves when the server is told to stop.
    application.state.stopping = lambda: server.should_exit
    host, port = listening.getsockname()[:2]
    shown_host = f"[{host}]" if ":" in host else host
    app.print_line(f"http://{shown_host}:{port}/ (Ctrl-C ends it)\njobs and results lie in {folder}")
    if not host.startswith("127.") and host != "::1":
        app.print_line("everyone who reaches this address can use it: there is no password")
    server.run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    """Returns a socket that listens at the address; raises InputError where that is not possible."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address, family=family)
    except socket.gaierror as error:
        raise InputError(f"--host={host}: {error.strerror}") from None
    except OSError as error:
        reason = error.strerror if error.errno is None else _REASONS.get(error.errno, error.strerror)
        raise InputError(f"{host}:{port} {reason}") from None


if __name__ == "__main__":
    app.run(main)
