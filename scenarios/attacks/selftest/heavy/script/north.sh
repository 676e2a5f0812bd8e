program=$S/heavy.py
before() { python3 "$S/heavy.py"; }
