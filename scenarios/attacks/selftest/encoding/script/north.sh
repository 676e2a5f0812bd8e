write_letter() {
  printf '€€€€€€€€€€€€€€€€€€€€\n' | iconv -f UTF-8 -t UTF-7 >letter.txt
  printf 'letter.txt working-tree-encoding=UTF-7\n' >.gitattributes
}
