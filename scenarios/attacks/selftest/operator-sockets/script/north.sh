before() { attempts python3 "$S/sockets.py"; }
