from program import LOAD, Program


class Measured(Program):
    title = "Python, 24 threads parse XML with lxml, 2 at a time"
    packages = ["python3", "python3-lxml"]
    limit_mib = 64

    def run(self, box):
        box.run("/usr/bin/python3", f"{LOAD}/xml_threads.py")
