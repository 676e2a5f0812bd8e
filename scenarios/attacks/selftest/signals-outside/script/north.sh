before() { attempts python3 "$S/signals.py"; }
