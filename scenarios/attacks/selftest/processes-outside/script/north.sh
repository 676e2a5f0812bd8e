before() { attempts python3 "$S/processes.py"; }
