import hashlib

with open("riddle.txt") as file:
    answer = hashlib.sha256(file.read().encode()).hexdigest()
with open("answer.txt", "w") as file:
    file.write(answer)
print(answer)
