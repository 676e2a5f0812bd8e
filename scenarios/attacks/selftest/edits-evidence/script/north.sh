letter=x
before() { python3 "$S/edit.py" "$(basename "$B")"; }
