before() {
  cp "$S/gt.sh" "$TMPDIR/gt" && chmod +x "$TMPDIR/gt"
  for name in gt bd agent-launch proctor-agent; do
    attempt "another $name" mv "$TMPDIR/gt" "$B/bin/$name"
    attempt "another $name" ln -sf "$S/gt.sh" "$B/bin/$name"
  done
}
hand_in() { sleep 60; }
