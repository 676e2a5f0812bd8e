program=$S/python.py
