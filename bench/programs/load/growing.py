# A file read into one buffer, then a list of small numbers: both grow step by step, by realloc.
STEP = b"x" * 65536
buffer = bytearray()
while len(buffer) < 60 << 20:
    buffer += STEP
size = len(buffer)
del buffer
numbers = []
for i in range((60 << 20) // 8):
    numbers.append(i & 255)
assert sum(numbers[::4096]) == sum(i & 255 for i in range(0, len(numbers), 4096))
print(size, len(numbers))
