from programs import compiler


class Measured(compiler.Measured):
    compiler = "clang++"
    title = "clang++ -O1 -g of a large file"
    packages = ["clang", "g++"]     # g++: for its headers
    limit_mib = 200
    options = ["-O1", "-g"]
    functions = 50
