before() { attempts python3 "$S/siblings.py"; }
