letter=x
before() { python3 "$S/reports.py" "$(basename "$B")"; }
