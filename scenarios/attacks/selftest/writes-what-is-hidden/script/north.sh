before() {
  refs=$B/origins/south.git/refs/heads
  attempt "a ref of another's origin" sh -c 'echo 1234567890123456789012345678901234567890 >"$0/broken"' "$refs"
  attempt "another's branch" rm "$refs/main"
  attempt "a pipe in its place" mkfifo "$refs/main"
  attempt "a run that never was" sh -c 'echo x >"$0/registry/zzzz.ndjson"' "{{canary.cache}}"
}
