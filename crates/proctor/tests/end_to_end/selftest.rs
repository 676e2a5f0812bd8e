//! `proctor selftest` on a scenario of one's own.

use std::fs;
use std::path::Path;

use crate::mini::Mini;
use crate::sandbox::Sandbox;

#[test]
fn a_selftest_case_waits_no_longer_than_the_command_line_lets_it() {
    let sandbox = Sandbox::new();
    let mini = Mini::new(&sandbox).case_that_never_lands("idle");
    let args = ["selftest", "idle", "--scenario", mini.folder(), "--timeout", "3s", "--json"];
    let rows: serde_json::Value = serde_json::from_str(&sandbox.run(&args).expect_code(0).stdout).unwrap();
    let summary = Path::new(rows[0]["folder"].as_str().unwrap()).join("summary.json");
    let summary = fs::read_to_string(sandbox.work().join(summary)).unwrap();
    assert!(summary.contains("not landed after 3 s"), "{summary}");
}
