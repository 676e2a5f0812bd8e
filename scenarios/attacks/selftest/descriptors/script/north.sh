# The work goes on, beside the connections, once one of them was refused.
before() {
  mkfifo "$TMPDIR/said"
  python3 "$S/descriptors.py" </dev/null >"$TMPDIR/said" 2>/dev/null &
  attempts cat "$TMPDIR/said"
}
