program=$S/poison.py
