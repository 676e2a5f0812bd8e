write_letter() {
  ln -s "{{canary.file}}" letter.txt
  ln -s "{{canary.folder}}" folder
  ln -s ../../../../../../../../etc/passwd up
}
