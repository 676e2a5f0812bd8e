before() {
  south_landed
  kept=$(git rev-parse FETCH_HEAD)
  git push -q "$south" :refs/heads/main
  git push -q "$south" "$kept:refs/heads/main"
}
