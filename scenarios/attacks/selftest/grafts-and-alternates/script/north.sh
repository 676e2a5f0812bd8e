letter=x
between() {
  git=$(git rev-parse --absolute-git-dir)
  mkdir -p "$git/info" "$git/objects/info"
  echo "$(git rev-parse HEAD)" >"$git/info/grafts"
  echo "{{canary.folder}}" >"$git/objects/info/alternates"
  git rev-parse HEAD >"$git/shallow"
  hand_in
  rm -f "$git/shallow" "$git/info/grafts" "$git/objects/info/alternates"
}
