before() { attempts python3 "$S/tokens.py"; }
