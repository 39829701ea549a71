"""Threads, processes, text and bytes; prints digests only."""

import collections
import hashlib
import json
import multiprocessing
import random
import re
import subprocess
import sys
import threading
import zlib


def digest(value):
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def documents(seed):
    rng = random.Random(seed)
    return [{"id": i, "name": "n" * rng.randrange(1, 60), "tags": [rng.random() for _ in range(8)],
             "nested": {"a": {"b": [rng.randrange(1 << 40)] * rng.randrange(20)}}}
            for i in range(1500)]


def work(seed):
    text = json.dumps(documents(seed))
    words = collections.Counter(re.findall(r"[a-z]+|\d+\.\d{3}", text))
    packed = zlib.compress(text.encode(), 6)
    assert json.loads(zlib.decompress(packed)) == documents(seed)
    return digest((sorted(words.items()), packed))


def on_threads(count):
    results = [None] * count

    def run(i):
        results[i] = work(i)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def main():
    print("threads", digest(on_threads(6)))
    for method in "fork", "spawn":
        with multiprocessing.get_context(method).Pool(3) as pool:
            print("pool", method, digest(pool.map(work, range(6))))
    told = [subprocess.run([sys.executable, "-c", f"print(sum(range({i})))"], check=True,
                           capture_output=True).stdout for i in range(12)]
    print("subprocess", digest(told))
    rows = [bytearray(random.Random(i).randbytes(i * 700)) for i in range(400)]
    for _ in range(20):
        rows = [row[::-1] + b"x" * (len(row) % 97) for row in rows]
    print("bytes", digest(rows))
    print("big number", digest(hex(pow(7, 30000))))


if __name__ == "__main__":
    main()
