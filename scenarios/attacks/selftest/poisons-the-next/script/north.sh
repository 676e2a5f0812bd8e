program=$S/next.py
before() { python3 "$S/next.py"; }
