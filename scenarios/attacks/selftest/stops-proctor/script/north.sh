program=$S/stop.py
before() { attempts python3 "$S/stop.py"; }
