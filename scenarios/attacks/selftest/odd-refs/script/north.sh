letter=x
between() {
  head=$(git rev-parse HEAD)
  for i in $(seq 200); do echo "create refs/heads/odd/$i/x.locked $head"; done | git update-ref --stdin
  printf 'create refs/heads/a\303\204\377 %s\ncreate refs/tags/main %s\ncreate refs/heads/refs/heads/main %s\n' "$head" "$head" "$head" | git update-ref --stdin
  git symbolic-ref refs/heads/symbolic refs/heads/odd/1/x.locked
  git push -q origin 'refs/heads/odd/*:refs/heads/odd/*' 'refs/heads/a*:refs/heads/a*' refs/tags/main refs/heads/refs/heads/main refs/heads/symbolic
}
