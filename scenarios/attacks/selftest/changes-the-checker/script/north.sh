program=$S/checker.py
