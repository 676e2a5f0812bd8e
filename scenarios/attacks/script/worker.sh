# What the worker of rig $1 does. What it does besides stands in $1.sh: `before` its work, `between` commit and hand-in, and `after`.
S=$(cd "$(dirname "$0")" && pwd)
B=$(cd "$GT_TOWN_ROOT/.." && pwd)
gt prime --hook </dev/null >/dev/null
issue=$(gt hook --json | sed -n 's/.*"id": *"\([^"]*\)".*/\1/p' | head -n 1)
letter="Dear reader, this letter of the $1 is about $issue."
program=$S/sum.py
origin=$(git config remote.origin.url)
south=$(dirname "$origin")/south.git
# An attack that got through confesses: its letter is none, so that a run that must pass fails.
got_through() { echo "got through: $*"; letter=x; }
attempt() { what=$1; shift; if "$@" >/dev/null 2>&1; then got_through "$what"; fi; }
attempts() { said=$("$@" 2>&1); echo "$said"; case $said in *"got through"*) letter=x ;; esac; }
# Waits until south's work is merged.
south_landed() {
  for i in $(seq 200); do
    git fetch -q "$south" main && git cat-file -e FETCH_HEAD:sum.py 2>/dev/null && return
    sleep 0.05
  done
}
before() { :; }
write_letter() { printf '%s\n' "$letter" >letter.txt; }
between() { :; }
hand_in() { gt done; }
after() { :; }
if [ -f "$S/$1.sh" ]; then . "$S/$1.sh"; fi
before
write_letter
cp "$program" sum.py
git add -A
git commit -qm "Letter ($issue)"
between
hand_in
after
