before() {
  for place in "{{canary.folder}}" "{{canary.tmp_folder}}"; do
    attempt "a new file" sh -c 'echo x >"$0/new"' "$place"
    attempt "a new folder" mkdir "$place/folder"
    attempt "a link" ln "$place/secret.txt" "$place/link"
    attempt "another name" mv "$place/secret.txt" "$place/other.txt"
    attempt "an end" sh -c 'echo x >>"$0/secret.txt"' "$place"
    attempt "a removal" rm -rf "$place/secret.txt"
  done
}
