# What the mayor does.
north=$(cd "$GT_TOWN_ROOT/north" && bd create --title "Letter of the north" --silent) || exit 1
south=$(cd "$GT_TOWN_ROOT/south" && bd create --title "Letter of the south" --silent) || exit 1
gt convoy create Letters "$north" "$south" || exit 1
for rig in north south; do
  eval "issue=\$$rig"
  gt sling "$issue" || exit 1
  worker=$(bd show "$issue" --json | sed -n 's/.*"assignee": *"\([^"]*\)".*/\1/p' | head -n 1)
  gt mail send "$worker" -s "A letter" -m "Write a letter and a program for $issue." || exit 1
done
