letter=x
between() {
  good=$(echo "Dear reader, this is a long letter." | git hash-object -w --stdin)
  git update-ref "refs/replace/$(git rev-parse HEAD:letter.txt)" "$good"
  git push -q origin 'refs/replace/*:refs/replace/*'
}
