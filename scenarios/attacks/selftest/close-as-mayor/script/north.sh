before() {
  other=$(bd list --json 2>/dev/null | grep -o 'so-[a-z0-9]*' | head -n 1)
  [ -n "$other" ] || other=$(cd "$GT_TOWN_ROOT/south" && bd list --json | grep -o 'so-[a-z0-9]*' | head -n 1)
  env GT_ROLE=mayor BD_ACTOR=mayor bd close "$other"
  env GT_ROLE=mayor BD_ACTOR=mayor gt convoy close Letters
}
