import os

os.makedirs("many", exist_ok=True)
for number in range(2000):
    open(f"many/{number}", "w").close()
try:
    with open("sparse", "wb") as file:
        file.truncate(32 << 30)
except OSError as error:
    print(error)
print("42")
