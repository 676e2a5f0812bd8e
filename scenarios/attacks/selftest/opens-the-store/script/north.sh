before() { attempts python3 "$S/store.py"; }
