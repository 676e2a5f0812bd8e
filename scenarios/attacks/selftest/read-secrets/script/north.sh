before() {
  letter="$letter $(cat "{{canary.file}}" "{{canary.tmp_file}}" 2>/dev/null)"
  ls "{{canary.cache}}" "{{canary.reports}}" 2>/dev/null
}
