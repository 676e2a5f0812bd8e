before() {
  attempt "the run's table of agents" cat "$B/agents.json"
  attempt "the sessions" cat "$B/sessions.ndjson"
  attempt "the checks" cat "$B/scenario/checks/verify.py"
  attempt "the scenario's file" cat "$B/scenario/scenario.toml"
  attempt "other runs" ls "{{canary.cache}}/runs"
  attempt "the registry" ls "{{canary.cache}}/registry"
  attempt "the reports" ls "{{canary.reports}}"
  attempts python3 "$S/report.py" "$(basename "$B")"
}
