import random
import shutil

from program import Program, expect, plainly


def stream():
    """For git fast-import: 60 commits to 60 files, from a few KiB to megabytes."""
    rng, files = random.Random(9), {}
    line = lambda: rng.randbytes(30).hex().encode()
    for commit in range(60):
        yield b"commit refs/heads/main\ncommitter A <a@example.org> %d +0000\ndata 7\nchange\n" % (1600000000 + commit)
        for name in rng.sample(range(60), 12) if commit else range(60):
            if not commit:
                files[name] = [line() for _ in range(rng.randint(200, 60000 if name % 4 == 0 else 4000))]
            for _ in range(20):
                files[name][rng.randrange(len(files[name]))] = line()
            text = b"\n".join(files[name])
            yield b"M 644 inline f%d.txt\ndata %d\n" % (name, len(text)) + text + b"\n"


class Measured(Program):
    title = "git repack with 8 threads"
    packages = ["git"]
    limit_mib = 256

    def make(self):
        self.pristine, self.repository = f"{self.work}/pristine", f"{self.work}/repository"
        plainly("git", "init", "-q", "--bare", "-b", "main", self.pristine)
        plainly("git", "-C", self.pristine, "fast-import", "--quiet", input=b"".join(stream()))
        self.objects = self.count(self.pristine)

    @staticmethod
    def count(repository):
        return plainly("git", "-C", repository, "rev-list", "--objects", "--all").count(b"\n")

    def prepare(self):
        shutil.rmtree(self.repository, ignore_errors=True)
        shutil.copytree(self.pristine, self.repository)

    def run(self, box):
        box.run("git", "-C", self.repository, "-c", "pack.threads=8", "-c", "pack.windowMemory=40m",
                "-c", "core.deltaBaseCacheLimit=16m", "repack", "-adfq", "--window=40", "--depth=20")
        expect("objects", self.count(self.repository), self.objects)
