program=$S/steal.py
