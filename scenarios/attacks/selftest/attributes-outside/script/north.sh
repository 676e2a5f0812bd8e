before() { attempts python3 "$S/attributes.py"; }
