before() {
  south_landed
  for who in town daemon south/polecats/rust south/polecats/nux mayor; do
    for token in 00000000000000000000000000000000 "" proctor; do
      header="Authorization: Basic $(printf '%s:%s' "$who" "$token" | base64 -w0)"
      attempt "a push as $who" env GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="http.extraHeader" GIT_CONFIG_VALUE_0="$header" \
        git push -q "$south" FETCH_HEAD:refs/heads/forged
    done
  done
  attempt "a push as nobody" env GIT_CONFIG_COUNT=0 git push -q "$south" FETCH_HEAD:refs/heads/forged
}
