"""A real nginx with our log format, in front of something."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from django.conf import settings

SNIPPETS = Path(settings.BASE_DIR) / "compose" / "nginx"
PATIENCE_SECONDS = 10

CONFIGURATION = """
{user}
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    include {folder}/darkroom-log.conf;
    access_log {folder}/access.log darkroom;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {server}
        location / {{
            proxy_pass {upstream};
            proxy_set_header Host $http_host;
        }}
    }}
}}
"""


@contextmanager
def running(program: str, folder: Path, *, server: str, upstream: str) -> Iterator[str]:
    """Run it until a block ends, with these lines in its `server` block; gives its address."""
    (folder / "darkroom-log.conf").write_text((SNIPPETS / "darkroom-log.conf").read_text())
    configuration = folder / "nginx.conf"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    user = "user root;" if os.geteuid() == 0 else ""
    values = {"user": user, "folder": folder, "port": port, "server": server, "upstream": upstream}
    configuration.write_text(CONFIGURATION.format(**values))
    log = folder / "error.log"
    process = subprocess.Popen([program, "-p", str(folder), "-c", str(configuration), "-e", str(log)])
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                requests.get(f"{address}/live", timeout=PATIENCE_SECONDS)
                break
            except requests.ConnectionError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
