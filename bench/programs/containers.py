from program import LOAD, Program, expect, plainly


class Measured(Program):
    title = "containers: C++ threads that come and go, each builds strings, vectors and maps; caches stay"
    packages = ["g++"]
    limit_mib = 192

    def make(self):
        plainly("g++", "-std=c++17", "-O2", "-pthread", "-o", f"{self.work}/containers", f"{LOAD}/containers.cc")

    def run(self, box):
        expect("lines", box.run(f"{self.work}/containers"), b"96 jobs, 480000 rows kept\n")
