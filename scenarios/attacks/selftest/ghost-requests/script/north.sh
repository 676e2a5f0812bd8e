letter=x
before() { python3 "$S/ghost.py"; }
