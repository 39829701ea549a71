from program import LOAD, Program


class Measured(Program):
    title = "pandas: 8 batches of other sizes, joined, grouped and sorted"
    packages = ["python3", "python3-pandas"]
    limit_mib = 228

    def run(self, box):
        # Without the thread pool of a linear algebra package, which is not used here.
        box.run("env", "OPENBLAS_NUM_THREADS=1", "/usr/bin/python3", f"{LOAD}/batches.py")
