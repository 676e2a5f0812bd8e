letter=x
between() {
  python3 "$S/obstacles.py" "$GT_TOWN_ROOT" "$B" "$PWD"
}
