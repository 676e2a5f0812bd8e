letter=x
before() { python3 "$S/huge.py"; }
