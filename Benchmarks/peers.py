#!/usr/bin/env python3
"""Apus beside a Prometheus on this machine: the same targets, one server after the other, and the ratios.

    peers.py APUS [--seconds 30]

Serves 20 pages of 2,000 series on loopback, lets each server scrape them every second, and then asks it some queries.
Only the ratios mean something, and only within one run. Without a `prometheus` on PATH it says so and measures nothing.
"""
import argparse
import http.server
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

PAGES, SERIES = 20, 2_000
QUERIES = [
    ("instant sum(rate)", "query", {"query": "sum(rate(bench_total[10s]))"}),
    ("range sum by (rate)", "query_range", {"query": "sum by (group) (rate(bench_total[10s]))", "step": "1"}),
    ("range of 2,000 series", "query_range", {"query": 'bench_total{instance="0"}', "step": "1"}),
]


class Pages(http.server.BaseHTTPRequestHandler):
    """Counters that grow by the second; a page is made once a second, so that making it costs neither server."""

    protocol_version = "HTTP/1.1"
    made = (0, b"")

    def do_GET(self):
        now = int(time.time())
        if Pages.made[0] != now:
            lines = ["# TYPE bench_total counter"]
            lines += ['bench_total{group="g%d",series="%d"} %d' % (i % 10, i, now % 100_000 * (i + 1)) for i in range(SERIES)]
            Pages.made = (now, ("\n".join(lines) + "\n").encode())
        page = Pages.made[1]
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ask(port, path, parameters=None):
    query = "?" + urllib.parse.urlencode(parameters) if parameters else ""
    with urllib.request.urlopen("http://127.0.0.1:%d%s%s" % (port, path, query), timeout=30) as answer:
        return answer.read()


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit("no " + what + " within %d seconds" % seconds)


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def anonymous_bytes(pid):
    with open("/proc/%d/status" % pid) as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("RssAnon"))


def measure(command, port, seconds):
    """{name: figure} of one server, from start to stop."""
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: ask(port, "/-/ready"), 30, "readiness of " + command[0])
        count = {"query": "count(bench_total)"}
        wait_until(lambda: b'"%d"' % (PAGES * SERIES) in ask(port, "/api/v1/query", count), 30, "series in " + command[0])
        cpu, began = cpu_seconds(server.pid), time.monotonic()
        time.sleep(seconds)
        samples = (time.monotonic() - began) * PAGES * SERIES
        result = {
            "CPU s per million samples": (cpu_seconds(server.pid) - cpu) / samples * 1e6,
            "anonymous bytes per series": anonymous_bytes(server.pid) / (PAGES * SERIES),
        }
        end = time.time()
        for name, path, parameters in QUERIES:
            if path == "query_range":
                parameters = dict(parameters, start=end - seconds + 2, end=end)
            times = []
            for _ in range(20):
                start = time.monotonic()
                ask(port, "/api/v1/" + path, parameters)
                times.append(time.monotonic() - start)
            result[name + ", ms"] = sorted(times)[len(times) // 2] * 1e3
        return result
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("apus")
    arguments.add_argument("--seconds", type=int, default=30)
    options = arguments.parse_args()
    prometheus = shutil.which("prometheus")
    if not prometheus:
        print("There is no 'prometheus' on PATH (scripts/install-test-peers installs one): no ratios.")
        return
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "prometheus.yml")
        with open(config, "w") as f:
            f.write("global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n- job_name: bench\n  static_configs:\n")
            for i in range(PAGES):
                f.write('  - targets: ["127.0.0.1:%d"]\n    labels: {instance: "%d"}\n' % (pages.server_port, i))
        for name, program in (("apus", [options.apus, "serve"]), ("prometheus", [prometheus])):
            port = free_port()
            results[name] = measure(
                program + ["--config.file=" + config, "--storage.tsdb.path=" + os.path.join(folder, name),
                           "--web.listen-address=127.0.0.1:%d" % port], port, options.seconds)
    print("%-30s %12s %12s %8s" % ("%d targets x %d series, every 1 s" % (PAGES, SERIES), "apus", "prometheus", "ratio"))
    for name, ours in results["apus"].items():
        theirs = results["prometheus"][name]
        print("%-30s %12.3f %12.3f %7.2fx" % (name, ours, theirs, ours / theirs if theirs else float("nan")))


if __name__ == "__main__":
    main()
