"""llama.cpp's own HTTP server on a model of random weights: `serve.py PORT SEED FOLDER`.

Always: listens on loopback alone, prints `ready` once it answers, runs until it is ended.
"""

import pathlib
import signal
import sys

import model
import xllamacpp

SLOTS = 4


def main(port, seed, folder):
    path = pathlib.Path(folder) / f"tiny-{seed}.gguf"
    model.write(path, seed)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * model.CONTEXT
    # Reuse of an earlier prompt would make the figures of `usage` depend on who asked before.
    params.cache_prompt = False
    params.warmup = False
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)
    print("ready", server.listening_address, flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
