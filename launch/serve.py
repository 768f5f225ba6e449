"""A local page: drop a curve or a Patterson map, watch it being solved, turn the result, take it home.

    python -m launch.serve [--host=127.0.0.1] [--port=8000] [--folder=out/serve]

Runs until it is interrupted. Jobs, uploads and results lie in the folder: the next start finds them, and begins again
what was interrupted. Needs the extra: pip install -e .[serve]
"""

import errno
import socket

from absl import flags

from launch import app
from phasenet.errors import InputError

_HOST = flags.DEFINE_string("host", "127.0.0.1", "Address to listen at; by default only this machine reaches it.")
_PORT = flags.DEFINE_integer("port", 8000, "0: any that is free.", lower_bound=0, upper_bound=65535)
_FOLDER = flags.DEFINE_string("folder", "out/serve", "Of jobs, uploads and results.")

_REASONS = {errno.EADDRINUSE: "is taken; another --port may be free (0: any that is)",
            errno.EACCES: "may not be listened at by this user", errno.EADDRNOTAVAIL: "is no address of this machine"}


def main(_: list[str]) -> None:
    listening = _listen(_HOST.value, _PORT.value)
    try:
        import uvicorn

        from launch.serving import web
    except ModuleNotFoundError as error:
        raise InputError(f"{error.name} is not installed: pip install -e .[serve]") from None
    folder = app.prepare_folder(_FOLDER.value, "--folder").resolve()
    application = web.application(folder, _HOST.value)
    config = uvicorn.Config(application, log_level="warning", server_header=False, timeout_keep_alive=5)
    server = uvicorn.Server(config)
    # Streams of events end by themselves once the server is to stop.
    application.state.stopping = lambda: server.should_exit
    host, port = listening.getsockname()[:2]
    app.print_line(f"http://{f'[{host}]' if ':' in host else host}:{port}/ (Ctrl-C ends it)\njobs and results lie in {folder}")
    if not host.startswith("127.") and host != "::1":
        app.print_line("others who reach this address can use it, too: there is no password")
    server.run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    """Raises InputError where nobody can listen there."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address, family=family)
    except socket.gaierror as error:
        raise InputError(f"--host={host}: {error.strerror}") from None
    except OSError as error:
        raise InputError(f"{host}:{port} {_REASONS.get(error.errno, error.strerror)}") from None


if __name__ == "__main__":
    app.run(main)
