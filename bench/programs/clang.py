from programs import compiler


class Measured(compiler.Measured):
    compiler = "clang++"
    title = "clang++ -O1 -g of a large file"
    packages = ["clang", "g++"]     # g++ for its headers
    limit_mib = 256
    options = ["-O1", "-g"]
    functions = 70
