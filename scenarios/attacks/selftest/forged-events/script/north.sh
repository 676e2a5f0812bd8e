before() {
  line='{"ts":"2026-01-01T00:00:00.000000Z","source":"gt","type":"merged","actor":"south/polecats/ghost","payload":{"issue":"so-xxx","commit":"deadbeef","rig":"south"},"visibility":"feed"}'
  for file in "$GT_TOWN_ROOT/.events.jsonl" "$GT_TOWN_ROOT/daemon/daemon.log" "$B/sessions.ndjson" "$GT_TOWN_ROOT/.runtime/transcripts/south-ghost.1.txt"; do
    attempt "$file" sh -c 'echo "$1" >>"$0"' "$file" "$line"
  done
}
