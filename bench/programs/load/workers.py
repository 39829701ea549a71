"""6 processes, each of which builds its next set of objects before it lets the last one go, as a
computation in steps does. Python serves objects of up to 512 bytes itself, from mappings."""

import multiprocessing
import random

WORKERS, ROUNDS, BYTES = 6, 24, 10_000_000
SIZES = (600, 3000, 14000, 70000)


def work(worker, done):
    random.seed(worker)
    kept = []
    for turn in range(ROUNDS):
        most = SIZES[(turn + worker) % len(SIZES)]
        kept = [bytes(random.randint(most // 2, most)) for _ in range(BYTES // most)]
    done.put(len(kept))


def main():
    done = multiprocessing.SimpleQueue()
    processes = [multiprocessing.Process(target=work, args=(i, done)) for i in range(WORKERS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode != 0 for process in processes):
        raise SystemExit("a worker was lost")
    print(sum(done.get() for _ in processes), "objects")


if __name__ == "__main__":
    main()
