"""What nobody can avoid waiting for: how late a thread wakes that comes before all others and does nothing.

sleeper.py SECONDS   sleeps 1 ms at a time on our first core, then prints percentiles of how much longer it was
"""

import os
import sys
import time

SLEEP_NS = 1_000_000
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
end = time.monotonic() + float(sys.argv[1])
late = []
while time.monotonic() < end:
    before = time.monotonic_ns()
    time.sleep(SLEEP_NS / 1e9)
    late.append(time.monotonic_ns() - before - SLEEP_NS)
late.sort()
points = " ".join(f" p{p:g} {late[int(len(late) * p / 100)] / 1e6:.3f}" for p in (50, 90, 99, 99.9))
print(f"a sleeper{points}  max {late[-1] / 1e6:.3f} ms")
