before() { attempts python3 "$S/neighbour.py"; }
