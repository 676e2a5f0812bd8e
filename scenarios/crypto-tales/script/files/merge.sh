# merge.sh RIG [wait]: merges what the rig's workers have handed in, and ends when nothing is left; with `wait`, it first
# waits for the first work. It may be ended and begun again at any time.
#
# Looking at the origin's branches costs next to nothing, asking the queue a third of a second of a processor. So the queue
# is asked only while the origin has a worker's branch, and less and less often while nothing comes of it.
rig=$1
cd "$GT_TOWN_ROOT/$rig/refinery/rig" || exit 1
# A worker cannot go back to main while this worktree sits on it.
git checkout --quiet --detach
touch ../refused

handed_in() { git ls-remote origin 'refs/heads/polecat/*' | grep -vxFf ../refused; }
field() { printf '%s\n' "$request" | sed -n "s/^ *\"$1\": *\"\([^\"]*\)\".*/\1/p" | head -n 1; }

refuse() {
  git rebase --abort
  git checkout --quiet --detach "origin/$target"
  git ls-remote origin "refs/heads/$branch" >>../refused
  gt mq reject "$rig" "$id" --reason "$branch conflicts with $target" --notify
  gt mail send "$rig/$worker" -s "FIX_NEEDED: $issue" -m "$branch conflicts with $target."
}

merge() {
  id=$(field ID) branch=$(field Branch) target=$(field Target) issue=$(field SourceIssue) worker=$(field Worker)
  gt refinery claim "$id"
  git fetch --quiet --prune origin
  git checkout --quiet --detach "origin/$branch" || return
  git rebase --quiet "origin/$target" || { refuse; return; }
  git push --quiet origin "HEAD:$target" || return
  gt mq post-merge "$rig" "$id"
  gt mail send "$rig/witness" -s "MERGED $worker" -m "Branch: $branch, issue: $issue"
}

test "$2" != wait || until handed_in >/dev/null; do sleep 1; done
pause=1
while handed_in >/dev/null; do
  request=$(gt refinery ready "$rig" --json)
  if test -n "$(field ID)" && merge; then
    pause=1
  else
    sleep "$pause"
    test "$pause" -ge 8 || pause=$((pause * 2))
  fi
done
