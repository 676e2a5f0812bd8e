before() {
  mkdir -p data
  seq 1000 | (cd data && split -l 1 -a 4 - file-)
}
