"""Drives the Autobahn fuzzing client against a server it starts; see run.sh.

expected.json is also the list of cases: a case the suite did not report counts as MISSING, so a
server that dies half-way cannot pass.
"""

import argparse
import collections
import contextlib
import fnmatch
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
EXPECTED = HERE / "expected.json"
# The suite's own default for a case is 10 s; a whole section stays under this on any machine.
SUITE_SECONDS_MAX = 5400
MODES = ["plain1", "plain2", "rechunk", "tls", "tls-rechunk"]
EVERY_CASE = [f"{section}.*" for section in (1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 13)]

Verdict = collections.namedtuple("Verdict", "behavior behaviorClose")
MISSING = Verdict("MISSING", "MISSING")


def main():
    # As Ctrl-C does: everything started is ended on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = arguments()
    modes = MODES if options.mode == "all" else [options.mode]
    expected = read_expected()
    good = True
    for mode in modes:
        verdicts = run(mode, options, cases(options, expected))
        if options.bless:
            write_expected(verdicts)
            expected = read_expected()
        good &= report(mode, verdicts, expected)
    return 0 if good else 1


def arguments():
    parser = argparse.ArgumentParser(prog="run.sh")
    parser.add_argument("mode", nargs="?", default="all", choices=[*MODES, "all"])
    parser.add_argument("--cases", action="append", default=[], metavar="PATTERN")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--bless", action="store_true")
    return parser.parse_args()


def cases(options, expected):
    """What to run: names, or patterns for the suite to expand while it is being blessed."""
    if options.bless:
        return options.cases or EVERY_CASE
    chosen = options.cases or ["*"]
    named = [case for case in expected if any(fnmatch.fnmatch(case, one) for one in chosen)]
    if not named:
        sys.exit(f"no case matches {chosen}")
    return named


# ---- running


def run(mode, options, wanted):
    workers = 2 if mode == "plain2" else 1
    with contextlib.ExitStack() as running:
        # The suite's largest message is 16 MiB; nothing else differs from the defaults.
        command = [os.environ["THRONG"], "serve", "--app", "echo", "--listen", "127.0.0.1:0"]
        command += ["--workers", str(workers), "--max-message", str(16 << 20), "--admin", "off"]
        directory = running.enter_context(tempfile.TemporaryDirectory(prefix="autobahn-"))
        scheme = "wss" if mode.startswith("tls") else "ws"
        if scheme == "wss":
            command += ["--tls-listen", "127.0.0.1:0", *certificate(directory)]
        address = running.enter_context(started(command, rf"\b{scheme}://([^/\s]+)/echo"))
        if mode.endswith("rechunk"):
            proxy = [os.environ["RECHUNK"], address]
            address = running.enter_context(started(proxy, r"rechunk (\S+) ->"))
        return suite(f"{scheme}://{address}/echo", pathlib.Path(directory), wanted, options.jobs)


def certificate(directory):
    """Makes one. The suite does not look at it; what it tests comes after the handshake."""
    place = pathlib.Path(directory, "certificate")
    subprocess.run([os.environ["THRONG"], "dev-cert", "--out", place], check=True, stdout=subprocess.DEVNULL)
    return ["--tls-cert", str(place / "cert.pem"), "--tls-key", str(place / "key.pem")]


@contextlib.contextmanager
def started(command, pattern):
    """Runs `command`, yields what `pattern` finds in its output, and ends it."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout:
            found = re.search(pattern, line)
            if found:
                break
        else:
            sys.exit(f"{command[0]} ended without saying where it listens")
        # A full pipe would stop the process: somebody has to read on.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield found.group(1)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def suite(url, directory, wanted, jobs):
    """Runs the cases in `jobs` processes and gathers their verdicts."""
    parts = [wanted[part::jobs] for part in range(jobs)]
    with contextlib.ExitStack() as running:
        processes = []
        for number, part in enumerate(filter(None, parts)):
            place = directory / str(number)
            place.mkdir()
            processes.append(fuzzing_client(url, place, part, running))
        for process in processes:
            try:
                process.wait(SUITE_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                print(f"the suite took more than {SUITE_SECONDS_MAX} s", file=sys.stderr)
                process.kill()
    verdicts = {}
    for index in directory.glob("*/index.json"):
        for name, result in json.loads(index.read_text())["throng"].items():
            verdicts[name] = Verdict(result["behavior"], result["behaviorClose"])
            if judged(verdicts[name]) == "failed":
                explain(name, index.with_name(result["reportfile"]))
    listed = [name for name in wanted if "*" not in name]
    return {name: verdicts.get(name, MISSING) for name in sorted({*listed, *verdicts}, key=by_number)}


def fuzzing_client(url, place, part, running):
    spec = {
        "outdir": str(place),
        "options": {"failByDrop": False},
        "servers": [{"agent": "throng", "url": url}],
        "cases": part,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    (place / "spec.json").write_text(json.dumps(spec))
    log = running.enter_context(open(place / "log", "wb"))
    command = [os.environ["WSTEST"], "-m", "fuzzingclient", "-s", str(place / "spec.json")]
    quiet = dict(os.environ, PYTHONWARNINGS="ignore")
    process = subprocess.Popen(command, cwd=place, env=quiet, stdout=log, stderr=log)
    running.callback(process.kill)
    return process


# ---- judging


def report(mode, verdicts, expected):
    """Prints the tally and every difference; true if there is none."""
    tally = collections.Counter(judged(verdict) for verdict in verdicts.values())
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(tally.items()))
    print(f"{mode}: {len(verdicts)} cases: {counts}")
    differences = [name for name, verdict in verdicts.items() if verdict != expected.get(name)]
    for name in differences:
        print(f"  {name}: expected {shown(expected.get(name))}, got {shown(verdicts[name])}")
    return not differences


def judged(verdict):
    """One word for the pair: the worse of the two."""
    order = ["OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED"]
    ranks = [order.index(one) if one in order else len(order) for one in verdict]
    return (order + ["FAILED"])[max(ranks)].lower()


def explain(name, report_file):
    """The suite's own words; its report goes away with the directory."""
    case = json.loads(report_file.read_text())
    print(f"  {name}: {case['description']}\n    {case['result']}\n    {case['resultClose']}")


def shown(verdict):
    return "/".join(verdict) if verdict else "nothing"


def by_number(name):
    return [int(part) for part in name.split(".")]


def read_expected():
    if not EXPECTED.exists():
        return {}
    return {name: Verdict(**verdict) for name, verdict in json.loads(EXPECTED.read_text()).items()}


def write_expected(verdicts):
    """One case a line: a change of one verdict is a diff of one line."""
    merged = read_expected() | verdicts
    lines = [
        f"  {json.dumps(name)}: {json.dumps(merged[name]._asdict())}"
        for name in sorted(merged, key=by_number)
    ]
    EXPECTED.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    sys.exit(main())
