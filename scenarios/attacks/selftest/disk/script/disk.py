import hashlib

with open("riddle.txt") as file:
    answer = hashlib.sha256(file.read().encode()).hexdigest()
with open("huge", "wb") as file:
    file.truncate(1 << 40)
print(answer)
