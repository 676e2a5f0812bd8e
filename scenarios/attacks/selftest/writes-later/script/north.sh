program=$S/later.py
