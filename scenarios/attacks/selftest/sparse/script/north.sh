program=$S/many.py
