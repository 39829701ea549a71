from program import Program, expect, plainly


class Measured(Program):
    title = "a shell batch: sort on 4 threads, xz and zstd on 2"
    packages = ["xz-utils", "zstd", "coreutils"]
    limit_mib = 256

    def make(self):
        self.lines = f"{self.work}/lines"
        with open(self.lines, "w") as file:
            file.writelines(f"{i * 7919 % 500009} line {i * 31 % 1009} {'x' * (i * 13 % 57)}\n" for i in range(2000000))
        self.sorted = plainly("sort", "-k3,3n", "-k1,1n", self.lines, env={"LC_ALL": "C"})
        self.digest = plainly("sha256sum", input=self.sorted)

    def run(self, box):
        script = """set -e -o pipefail
            sort --parallel=4 -S 80M -T "$1" -k3,3n -k1,1n "$2" | xz -T2 -1 --block-size=4MiB |
                xz -dc | zstd -q -T2 -9 | zstd -dcq | sha256sum"""
        got = box.run("env", "LC_ALL=C", "bash", "-c", script, "bash", self.work, self.lines)
        expect("digest", got, self.digest)
