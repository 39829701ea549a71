"""Many threads on few CPUs. Each request leaves a small result that stays."""
import queue
import random
import threading

from lxml import etree

THREADS, AT_A_TIME, REQUESTS = 24, 2, 160


def document(rng, items):
    rows = (f'<item id="{i}" k="{"x" * rng.randint(4, 60)}"><name>{"n" * rng.randint(5, 180)}</name>'
            f"<v>{rng.randint(0, 10 ** 9)}</v></item>" for i in range(items))
    return f"<r>{''.join(rows)}</r>".encode()


def answer(text):
    items = etree.fromstring(text).findall("item")
    total = sum(int(item.findtext("v")) for item in items)
    return total, etree.fromstring(etree.tostring(items[len(items) // 2]))


def work(requests, documents, slots, kept):
    while (request := requests.get()) is not None:
        with slots:
            kept.append(answer(documents[request % len(documents)]))


def main():
    rng = random.Random(7)
    documents = [document(rng, 9000 + 3000 * k) for k in range(6)]
    requests, slots, kept = queue.Queue(), threading.Semaphore(AT_A_TIME), []
    threads = [threading.Thread(target=work, args=(requests, documents, slots, kept)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for request in [*range(REQUESTS), *[None] * THREADS]:
        requests.put(request)
    for thread in threads:
        thread.join()
    assert len(kept) == REQUESTS and len({total for total, _ in kept}) == len(documents)


main()
