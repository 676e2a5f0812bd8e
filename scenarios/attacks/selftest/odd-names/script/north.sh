between() {
  python3 - <<'PY'
import os

for name in [b"\xff\xfe", b"new\nline", b"tab\tand \"quotes\"", b"\x01", b"-rf", b"LETTER.TXT", b"x" * 250, "\u202etxt".encode()]:
    with open(name, "w") as file:
        file.write("odd\n")
PY
  git update-index --add --cacheinfo 160000,1234567890123456789012345678901234567890,module
  git add -A -- . ':!module'
  git update-index --add --cacheinfo 160000,1234567890123456789012345678901234567890,module
  git commit -qm "Odd names ($issue)"
}
