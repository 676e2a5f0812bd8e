before() {
  gt convoy create Letters "$issue"
  env GT_ROLE=mayor BD_ACTOR=mayor gt convoy create Letters "$issue"
}
