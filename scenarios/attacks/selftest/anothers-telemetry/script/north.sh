before() { python3 "$S/costs.py"; }
