"""Tries a running control plane against the OpenAPI document that it serves.

    .tools/venv/bin/python tests/openapi/check.py http://127.0.0.1:8090

SERIN_TOKEN is an admin's. Anything may be written to and deleted from the store behind it. Ends
with 0 if no answer was a 5xx, of a status or form that the document does not have, or open to who
has no token. Progress goes to the terminal; a failure comes with the curl that shows it.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent


def call(method, url, body=None):
    headers = {
        "Authorization": "Bearer " + os.environ["SERIN_TOKEN"],
        "Content-Type": "application/json",
    }
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def main(server):
    document = server + "/api/v1/openapi.json"
    # With its own example there, calls reach further than "there is nothing of that name".
    operation = call("GET", document)["paths"]["/api/v1/apply"]["post"]
    call("POST", server + "/api/v1/apply", operation["requestBody"]["content"]["application/json"]["example"])
    st = [str(pathlib.Path(sys.executable).parent / "st")]
    st += ["--config-file", str(HERE / "schemathesis.toml"), "run", document]
    with tempfile.TemporaryDirectory() as scratch:
        return subprocess.run(st, cwd=scratch, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
