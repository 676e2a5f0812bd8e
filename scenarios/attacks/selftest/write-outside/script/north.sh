before() {
  for place in "{{canary.folder}}" "{{canary.tmp_folder}}"; do
    attempt "a new file" sh -c 'echo x >"$0/new"' "$place"
    attempt "a new folder" mkdir "$place/folder"
    attempt "a link" ln "$place/secret.txt" "$place/link"
    attempt "another name" mv "$place/secret.txt" "$place/other.txt"
    attempt "an end" sh -c 'echo x >>"$0/secret.txt"' "$place"
    attempt "a removal" rm "$place/secret.txt"
  done
  # The canaries are out of sight; what Proctor put beside the town is not.
  attempt "another program" sh -c 'echo x >"$0/../bin/new"' "$GT_TOWN_ROOT"
}
