program=$S/endless.py
before() {
  mkfifo "$TMPDIR/pipe"
  cat "$TMPDIR/pipe" </dev/null >/dev/null 2>&1 &
}
