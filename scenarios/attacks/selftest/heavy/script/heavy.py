import hashlib
import os
import tempfile

memory = bytearray(100 << 20)
for at in range(0, len(memory), 4096):
    memory[at] = 1
with tempfile.TemporaryDirectory() as folder:
    held = [open(f"{folder}/{number}", "w") for number in range(200)]
    with open(f"{folder}/large", "wb") as file:
        file.write(b"x" * (10 << 20))
    for file in held:
        file.close()
for _ in range(200000):
    hashlib.sha256(b"x").digest()
if os.path.exists("riddle.txt"):
    with open("riddle.txt") as file:
        answer = hashlib.sha256(file.read().encode()).hexdigest()
    with open("answer.txt", "w") as file:
        file.write(answer)
    print(answer)
