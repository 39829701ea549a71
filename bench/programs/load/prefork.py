"""A parent loads its data and forks workers; requests come in bursts that one or two workers answer, the others idle.

Each request parses a document and builds a report of it: tens of MiB for a moment."""
import json
import multiprocessing
import random

from lxml import etree

WORKERS, BURSTS, BURST = 6, 6, 7


def document(rng, items):
    return {"items": [{"id": i, "name": "n" * rng.randint(3, 120), "tags": ["t" * rng.randint(2, 30)] * 3}
                      for i in range(items)]}


def answer(tree):
    root = etree.Element("r")
    for item in tree["items"]:
        row = etree.SubElement(root, "item", id=str(item["id"]))
        etree.SubElement(row, "name").text = item["name"]
        for tag in item["tags"]:
            etree.SubElement(row, "tag").text = tag
    text = etree.tostring(root)
    rows = [{"name": row.findtext("name"), "tags": [tag.text for tag in row.findall("tag")]}
            for row in etree.fromstring(text)]
    return json.loads(json.dumps(rows)) == [{"name": i["name"], "tags": i["tags"]} for i in tree["items"]]


def serve(connection, documents):
    while (request := connection.recv()) is not None:
        connection.send(answer(documents[request % len(documents)]))


def main():
    rng = random.Random(4)
    documents = [document(rng, 8000 + 2000 * k) for k in range(5)]
    fork = multiprocessing.get_context("fork")
    pipes = [fork.Pipe() for _ in range(WORKERS)]
    workers = [fork.Process(target=serve, args=(theirs, documents)) for _, theirs in pipes]
    for worker in workers:
        worker.start()
    answers = 0
    for burst in range(BURSTS):
        ours = pipes[burst % WORKERS][0]
        for request in range(BURST):
            ours.send(burst + request)
            answers += ours.recv()
    for ours, _ in pipes:
        ours.send(None)
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    print(answers, "answers")


main()
