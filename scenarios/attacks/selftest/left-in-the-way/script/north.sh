program=$S/odd.py
