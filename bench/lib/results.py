"""All runs so far, written to a file after each of them, so that a stopped benchmark can go on."""
import contextlib
import json
import os

POINTS = 240    # samples kept of a run


def thin(samples):
    """At most POINTS samples (seconds, MiB): the highest of each stretch, since peaks are what matters."""
    width = -(-len(samples) // POINTS) or 1
    return [max(samples[i:i + width], key=lambda sample: sample[1]) for i in range(0, len(samples), width)]


class Results:
    def __init__(self, path):
        self.path = path
        self.data = {"live": {}, "runs": {}}
        with contextlib.suppress(FileNotFoundError), open(path) as file:
            self.data |= json.load(file)

    def save(self):
        with open(self.path + ".new", "w") as file:
            json.dump(self.data, file)
        os.replace(self.path + ".new", self.path)

    def runs(self, program, allocator):
        """The runs, in the order in which they were made."""
        return self.data["runs"].get(program, {}).get(allocator, [])

    def add(self, program, allocator, run):
        run = run | {"samples": thin(run["samples"])}
        self.data["runs"].setdefault(program, {}).setdefault(allocator, []).append(run)
        self.save()

    def live(self, program):
        """MiB, or None where it was not measured."""
        return self.data["live"].get(program)

    def set_live(self, program, mib):
        self.data["live"][program] = mib
        self.save()

    def set_facts(self, facts):
        """Stores the facts of the latest runs; the date of the first run stays."""
        first = self.data.get("facts", facts).get("first_date", facts["date"])
        self.data["facts"] = facts | {"first_date": first}
        self.save()

    def facts(self):
        return self.data.get("facts")

    def forget(self, programs, allocators):
        for program in programs:
            for allocator in allocators:
                self.data["runs"].get(program, {}).pop(allocator, None)
            if not self.data["runs"].get(program):
                self.data["live"].pop(program, None)
        self.save()
