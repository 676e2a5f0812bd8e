program=$S/bomb.py
