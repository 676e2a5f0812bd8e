between() {
  printf '*.txt text=auto\n*.sh text eol=lf\n' >.gitattributes
  ln -s letter.txt link.txt
  printf '#!/bin/sh\n' >run.sh && chmod +x run.sh
  git add -A && git commit -qm "More ($issue)" && git commit -q --amend -m "Much more ($issue)"
  git checkout -q -b side HEAD~1 && echo side >side.txt && git add side.txt && git commit -qm "Side" && git checkout -q -
  git merge -q --no-ff side -m "Merge the side"
  git commit -q --allow-empty -m "Nothing, with an ümlaut"
  git tag light && git tag -a heavy -m "A tag" && git notes add -m "A note"
  git push -q origin side light heavy
}
