before() { python3 "$S/helpers.py"; }
