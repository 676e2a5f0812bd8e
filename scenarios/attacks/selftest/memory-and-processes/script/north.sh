before() { attempts python3 "$S/greedy.py"; }
