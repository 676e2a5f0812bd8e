program=$S/detect.py
