letter=x
between() {
  blob=$(git rev-parse HEAD:letter.txt)
  tree=$(printf '100644 blob %s\t.git\n' "$blob" | git mktree 2>/dev/null)
  [ -n "$tree" ] || tree=$(printf '100644 .git\0' | cat - "$S/twenty" | git hash-object -t tree -w --stdin --literally)
  commit=$(printf 'tree %s\nauthor nobody\n\nx\n' "$tree" | git hash-object -t commit -w --stdin --literally)
  git push -q origin "$commit:refs/heads/broken" && echo pushed
  blob=$(printf 'tree 0\n' | git hash-object -t commit -w --stdin --literally)
  git push -q origin "$blob:refs/heads/broken-too" && echo pushed
}
