write_letter() {
  printf '$Id$\n' >letter.txt
  printf 'letter.txt ident text eol=crlf filter=longer\n' >.gitattributes
  git config filter.longer.clean cat
  git config filter.longer.smudge "sed s/Id/DearReaderOfThisLongLetter/"
  git config filter.longer.required true
}
