before() {
  program=$S/egress.py
  attempts python3 "$S/egress.py" only
}
