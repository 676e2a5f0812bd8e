# Puts a file of its own on south's main, in the name of south's worker.
foreign() {
  south_landed
  git init -q "$TMPDIR/south" && git -C "$TMPDIR/south" pull -q "$south" main || return
  author=$(git -C "$TMPDIR/south" log -1 --format='%an')
  email=$(git -C "$TMPDIR/south" log -1 --format='%ae')
  echo hi >"$TMPDIR/south/stranger.txt"
  git -C "$TMPDIR/south" add stranger.txt
  git -C "$TMPDIR/south" -c user.name="$author" -c user.email="$email" commit -q --author="$author <$email>" -m "Letter, second part"
  git -C "$TMPDIR/south" push -q "$south" HEAD:refs/heads/main
}
before() { foreign; }
