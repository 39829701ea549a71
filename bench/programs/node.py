from program import LOAD, Program, expect


class Measured(Program):
    title = "Node.js, buffers of changing sizes, packed and hashed in its thread pool"
    packages = ["nodejs"]
    limit_mib = 192

    def run(self, box):
        expect("answer", box.run("node", f"{LOAD}/buffers.js"), b"14 rounds, 336 buffers as they were\n")
