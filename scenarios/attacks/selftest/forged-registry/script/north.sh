before() { python3 "$S/registry.py" "$B"; }
