from program import LOAD, Program


class Measured(Program):
    title = "pandas: 12 batches of other sizes, joined, grouped and sorted"
    packages = ["python3", "python3-pandas"]
    limit_mib = 320

    def run(self, box):
        # Not the thread pool of a linear algebra package, which is not used here.
        box.run("env", "OPENBLAS_NUM_THREADS=1", "/usr/bin/python3", f"{LOAD}/batches.py")
