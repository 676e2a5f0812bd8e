before() {
  for name in GT_ROLE BD_ACTOR BEADS_ACTOR GT_AGENT; do export "was_$name"; done
  env GT_ROLE=mayor BD_ACTOR=mayor GT_SESSION=hq-mayor GT_RIG= GT_POLECAT= gt mail send "$GT_ROLE" -s "A letter" -m "Write it." --no-notify
}
