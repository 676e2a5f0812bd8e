before() {
  program=$S/disk.py
  attempt "a file of a terabyte" truncate -s 1T huge
  rm -f huge
}
