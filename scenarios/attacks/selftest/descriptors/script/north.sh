before() { python3 "$S/descriptors.py" </dev/null >/dev/null 2>&1 & }
