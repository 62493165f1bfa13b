#!/usr/bin/env python3
"""Runs into the walls that `throng doctor` predicts, and compares.

    tests/walls/run.py [PATH-TO-THRONG] [WALL ...]

Needs root on Linux with Python 3.8 or newer (`apt-get install python3 util-linux iproute2`, for the
tracker's wall also `nftables`). Walls of a network namespace are met in a fresh one. Three belong to
the whole machine: fs.file-max and the epoll watches are lowered for a second, far above what is in
use, and met by a user who has nothing else; the tracker's limit is lowered while it tracks nothing.
Each is put back. A wall that cannot be built here is skipped, and said so.

For each wall: the doctor names it and a number; we connect until something fails; the two numbers
are compared; where `throng tune` can move it, it does, the same run passes, and `--undo` restores.
"""

import contextlib
import errno
import json
import os
import resource
import select
import shutil
import socket
import subprocess
import sys
import tempfile

HERE = os.path.abspath(__file__)
NOBODY = 65534


class Skip(Exception):
    """The wall cannot be built on this machine."""


def main():
    args = sys.argv[1:]
    throng = os.path.abspath(args.pop(0) if args and os.path.exists(args[0]) else "target/debug/throng")
    if len(args) == 2 and args[0] == "--inside":
        return print(json.dumps(WALLS[args[1]](throng)))
    if os.geteuid() != 0:
        sys.exit("needs root: it makes network namespaces and lowers limits")
    wanted = args or list(WALLS)
    bad = 0
    print(f"{'wall':14} {'predicted':>10} {'met at':>10}  after tune, undo")
    for name in wanted:
        command = ["unshare", "-n", sys.executable, HERE, throng, "--inside", name]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if ran.returncode != 0:
            reason = (ran.stderr.strip().splitlines() or ["?"])[-1]
            skipped = reason.startswith("skip: ")
            bad += not skipped
            print(f"{name:14} {reason if skipped else 'FAILED: ' + reason}")
            continue
        told = json.loads(ran.stdout)
        low, high = sorted((told["predicted"], told["met"]))
        agrees = high - low <= told["tolerance"] * high
        bad += not (agrees and told["cured"])
        verdict = "" if agrees else "  DISAGREE"
        print(f"{name:14} {told['predicted']:>10} {told['met']:>10}  {told['note']}{verdict}")
    return 1 if bad else 0


# What the walls are made of.


def write(path, text):
    with open(path, "w") as file:
        file.write(str(text))


def read(path):
    with open(path) as file:
        return file.read()


def sysctl(name):
    return "/proc/sys/" + name.replace(".", "/")


@contextlib.contextmanager
def lowered(name, value):
    """A setting of the whole machine, for as short as possible."""
    before = read(sysctl(name))
    write(sysctl(name), value)
    try:
        yield
    finally:
        write(sysctl(name), before)


def doctor(throng, *args, code=None):
    ran = subprocess.run([throng, "doctor", "--json", *args], capture_output=True, text=True)
    assert ran.returncode in (0, 1), ran.stderr
    assert code is None or ran.returncode == code, ran.stdout
    return json.loads(ran.stdout)


def tune(throng, *args):
    ran = subprocess.run([throng, "tune", *args], capture_output=True, text=True)
    return ran.returncode, ran.stdout + ran.stderr


def first_wall(report, name):
    wall = report["first_wall"]
    assert wall and wall["name"] == name, f"the doctor names {wall}, not {name}"
    return wall["connections"]


def loopback():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def listener(backlog=4096, port=0):
    server = socket.socket()
    server.bind(("127.0.0.1", port))
    server.listen(backlog)
    return server


def connect_until_it_fails(server, most, source=None, keep=None):
    """How many connections could be opened; they are closed with `keep`."""
    opened = keep if keep is not None else []
    for count in range(most):
        client = socket.socket()
        client.settimeout(2)
        try:
            if source:
                client.bind((source, 0))
            client.connect(server.getsockname())
            opened.append(client)
            opened.append(server.accept()[0])
        except OSError:
            client.close()
            return count
    return most


def as_nobody(work):
    """Runs `work` in a child without privileges and gives its number."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        result = -1
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            result = work()
        finally:
            os.write(writer, str(result).encode())
            os._exit(0)
    os.close(writer)
    text = b""
    while chunk := os.read(reader, 64):
        text += chunk
    os.waitpid(child, 0)
    return int(text)


def outcome(predicted, met, cured=True, note="", tolerance=0.0):
    return {"predicted": predicted, "met": met, "cured": cured, "note": note, "tolerance": tolerance}


# The walls.


def ports(throng):
    """One source address, and a kernel that picks its ports."""
    loopback()
    write(sysctl("net.ipv4.ip_local_port_range"), "40000 40499")
    return until_addresses_run_out(throng)


def reserved(throng):
    """The same, with a fifth of the range kept back."""
    loopback()
    write(sysctl("net.ipv4.ip_local_port_range"), "40000 40499")
    write(sysctl("net.ipv4.ip_local_reserved_ports"), "40100-40199")
    return until_addresses_run_out(throng)


def until_addresses_run_out(throng):
    goal = ["--connections", "600", "--both-ends", "--sources", "1"]
    before = read(sysctl("net.ipv4.ip_local_port_range"))
    predicted = first_wall(doctor(throng, *goal, code=1), "net.ipv4.ip_local_port_range")
    # Outside the range, or it would take one of its ports.
    server, kept = listener(port=9999), []
    met = connect_until_it_fails(server, 600, keep=kept)
    tune(throng, *goal, "--apply", "--runtime")
    # The others are still open: the same connections, and those that were missing.
    after = met + connect_until_it_fails(server, 600 - met, keep=kept)
    ready = doctor(throng, *goal)["ready"]
    tune(throng, "--undo")
    restored = read(sysctl("net.ipv4.ip_local_port_range")) == before
    cured = after == 600 and ready and restored
    return outcome(predicted, met, cured, f"{after}, {'restored' if restored else 'NOT RESTORED'}")


def tracker(throng):
    """A firewall rule that tracks, and a table for a thousand."""
    if not shutil.which("nft"):
        raise Skip("nft is not installed")
    loopback()
    rules = "add table inet t; add chain inet t c { type filter hook output priority 0; }; " \
            "add rule inet t c ct state new accept"
    if subprocess.run(["nft", rules], capture_output=True).returncode != 0:
        raise Skip("this kernel has no nftables")
    goal = ["--connections", "3000", "--both-ends", "--tracked"]
    # Who started us stayed where the limit can be written.
    host = ["nsenter", f"--net=/proc/{os.getppid()}/ns/net"]
    in_host = lambda *args: subprocess.run([*host, *args], capture_output=True, text=True)
    server, kept = listener(), []
    limit = sysctl("net.netfilter.nf_conntrack_max")
    before = in_host("cat", limit).stdout
    if not before or int(in_host("cat", sysctl("net.netfilter.nf_conntrack_count")).stdout) > 0:
        raise Skip("the machine itself tracks connections")
    in_host("sh", "-c", f"echo 1000 > {limit}")
    try:
        predicted = first_wall(doctor(throng, *goal, code=1), "net.netfilter.nf_conntrack_max")
        report = tempfile.NamedTemporaryFile(mode="w", suffix=".json")
        json.dump(doctor(throng, *goal), report)
        report.flush()
        met = connect_until_it_fails(server, 1500, keep=kept)
        hits = doctor(throng, *goal, "--since", report.name)["hits"]
        named = any(hit["limit"] == "net.netfilter.nf_conntrack_max" for hit in hits)
        in_host(throng, "tune", *goal, "--apply", "--runtime")
        after = met + connect_until_it_fails(server, 1500 - met, keep=kept)
        in_host(throng, "tune", "--undo")
        restored = in_host("cat", limit).stdout.strip() == "1000"
    finally:
        in_host("sh", "-c", f"echo {before.strip()} > {limit}")
    note = f"{after}, {'restored' if restored else 'NOT RESTORED'}, {'named after' if named else 'NOT NAMED'}"
    return outcome(predicted, met, after == 1500 and restored and named, note, 0.01)


def file_max(throng):
    """Files of the whole machine, met by somebody without CAP_SYS_ADMIN, whom it binds."""
    files = int(read("/proc/sys/fs/file-nr").split()[0])

    def open_sockets():
        count, kept = 0, []
        try:
            while count < 19_000:
                kept.append(socket.socket())
                count += 1
        except OSError as error:
            assert error.errno == errno.ENFILE, error
        return count

    # Others open and close files meanwhile, and the kernel counts in batches for each processor.
    goal = ["--connections", "15000"]
    return of_the_machine(throng, "fs.file-max", files + 4000, goal, lambda: as_nobody(open_sockets), 15_000, 0.1)


def of_the_machine(throng, knob, limit, goal, meet, enough, tolerance):
    """A wall of the whole machine: put up, met, moved by `tune`, put back by `--undo`, taken away."""
    with lowered(knob, limit):
        predicted = first_wall(doctor(throng, *goal), knob)
        met = meet()
        tune(throng, *goal, "--apply", "--runtime")
        after = meet()
        tune(throng, "--undo")
        restored = int(read(sysctl(knob))) == limit
    note = f"{after}, {'restored' if restored else 'NOT RESTORED'}"
    return outcome(predicted, met, after >= enough and restored, note, tolerance)


def epoll(throng):
    """Epoll registrations of one user."""
    limit = 60_000
    if int(read("/proc/sys/fs/epoll/max_user_watches")) < limit:
        raise Skip("the limit is low already")

    def register():
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        room = min(hard, 19_000)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        first = os.pipe()[0]
        copies = [first] + [os.dup(first) for _ in range(room - 200)]
        count, polls = 0, []
        # A little more than the goal below, which keeps some in hand.
        while count < 110_000:
            poll = select.epoll()
            polls.append(poll)
            for copy in copies:
                try:
                    poll.register(copy, select.EPOLLIN | select.EPOLLET)
                except OSError as error:
                    assert error.errno == errno.ENOSPC, error
                    return count
                count += 1
        return count

    goal = ["--connections", "100k"]
    meet = lambda: as_nobody(register)
    return of_the_machine(throng, "fs.epoll.max_user_watches", limit, goal, meet, 100_000, 0.001)


def group(throng):
    """A control group's memory, kernel memory included."""
    folder, limit_file, procs = new_group()
    try:
        write(f"{folder}/{limit_file}", 48 << 20)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            write(f"{folder}/{procs}", os.getpid())
            loopback()
            report = doctor(throng, "--connections", "100k", "--both-ends")
            wall = report["first_wall"] or {"name": "none", "connections": 0}
            os.write(writer, f"{wall['name']}\n{wall['connections']}\n".encode())
            count, addresses = 0, [listener() for _ in range(8)]
            resource.setrlimit(resource.RLIMIT_NOFILE, (20_000, 20_000))
            kept = []
            # Both ends of so many fit into one descriptor table.
            while count < 9_900:
                connect_until_it_fails(addresses[count % 8], 1, keep=kept)
                count += 1
                if count % 50 == 0:
                    os.write(writer, b"+")
            os._exit(0)
        os.close(writer)
        text = b""
        while chunk := os.read(reader, 4096):
            text += chunk
        _, status = os.waitpid(child, 0)
        name, predicted, progress = text.decode().split("\n")
        assert name == "memory of the control group", name
        killed = os.WIFSIGNALED(status)
        return outcome(int(predicted), 50 * len(progress), killed, "killed by the OOM killer" if killed else "NOT KILLED", 0.25)
    finally:
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def new_group():
    if os.path.isdir("/sys/fs/cgroup/memory"):
        folder, files = "/sys/fs/cgroup/memory/throng-walls", ("memory.limit_in_bytes", "cgroup.procs")
    else:
        folder, files = "/sys/fs/cgroup/throng-walls", ("memory.max", "cgroup.procs")
    try:
        os.mkdir(folder)
    except OSError as error:
        raise Skip(f"no control group to be had: {error}")
    if not os.path.exists(f"{folder}/{files[0]}"):
        os.rmdir(folder)
        raise Skip("control groups without a memory controller")
    return (folder, *files)


def accept_queue(throng):
    """A queue of sixteen, a burst of two hundred, and nobody who accepts."""
    loopback()
    write(sysctl("net.core.somaxconn"), 16)
    goal = ["--connections", "10000", "--workers", "1"]
    before = doctor(throng, *goal, code=1)
    loses = [finding for finding in before["findings"] if finding["grade"] == "loses"]
    assert loses and loses[0]["name"] == "net.core.somaxconn", loses
    with tempfile.NamedTemporaryFile(mode="w", suffix=".json") as report:
        json.dump(before, report)
        report.flush()
        held = burst(listener())
        hits = doctor(throng, *goal, "--since", report.name)["hits"]
        named = bool(hits) and hits[0]["limit"] == "net.core.somaxconn"
    tune(throng, *goal, "--apply", "--runtime")
    after = burst(listener())
    tune(throng, "--undo")
    restored = read(sysctl("net.core.somaxconn")).strip() == "16"
    note = f"{after} of 200, {'restored' if restored else 'NOT RESTORED'}, {'named after' if named else 'NOT NAMED'}"
    # The kernel holds one more than it says.
    return outcome(16, held, after == 200 and restored and named, note, 0.1)


def burst(server):
    """Two hundred connects at once; how many the server has in its queue."""
    kept = []
    for _ in range(200):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(server.getsockname())
        kept.append(client)
    # tcpi_unacked of a listener is the length of its queue.
    return int.from_bytes(server.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[24:28], sys.byteorder)


def time_wait(throng):
    """A hundred places in TIME_WAIT, and three hundred who close first."""
    loopback()
    write(sysctl("net.ipv4.tcp_max_tw_buckets"), 100)
    goal = ["--connections", "600", "--both-ends"]
    before = doctor(throng, *goal)
    assert any(f["name"] == "net.ipv4.tcp_max_tw_buckets" and f["grade"] == "tight" for f in before["findings"])
    with tempfile.NamedTemporaryFile(mode="w", suffix=".json") as report:
        json.dump(before, report)
        report.flush()
        waiting = close_first(300)
        hits = doctor(throng, *goal, "--since", report.name)["hits"]
        named = [hit["limit"] for hit in hits] == ["net.ipv4.tcp_max_tw_buckets"]
    tune(throng, *goal, "--apply", "--runtime")
    after = close_first(300)
    tune(throng, "--undo")
    restored = read(sysctl("net.ipv4.tcp_max_tw_buckets")).strip() == "100"
    note = f"{after} of 400, {'restored' if restored else 'NOT RESTORED'}, {'named after' if named else 'NOT NAMED'}"
    return outcome(100, waiting, after == 400 and restored and named, note, 0.02)


def close_first(count):
    server, kept = listener(), []
    connect_until_it_fails(server, count, keep=kept)
    for client, peer in zip(kept[0::2], kept[1::2]):
        client.close()
        peer.close()
    line = next(line for line in read("/proc/net/sockstat").splitlines() if line.startswith("TCP:"))
    words = line.split()
    return int(words[words.index("tw") + 1])


WALLS = {
    "ports": ports,
    "reserved": reserved,
    "accept-queue": accept_queue,
    "time-wait": time_wait,
    "tracker": tracker,
    "file-max": file_max,
    "epoll": epoll,
    "group": group,
}

if __name__ == "__main__":
    try:
        sys.exit(main())
    except Skip as why:
        sys.exit(f"skip: {why}")
