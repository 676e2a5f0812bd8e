//! `proctor selftest --attacks` on a scenario of one's own: it can fail, and says at what.

use serde_json::Value;

use crate::mini::Mini;
use crate::sandbox::Sandbox;

const WORK: &str = "echo 'Hello from the worker.' > greeting.txt";

/// Plays one attack in which the worker runs `script` before it works, and passes; gives the row of the case.
fn attack(script: &str, more: &str, fence: &str, code: i32) -> Value {
    let sandbox = Sandbox::new();
    let case = format!(
        "title = \"an attack\"\nclass = \"fence\"\n{more}\n[[change]]\nfile = \"script/polecat.toml\"\nfind = \"{WORK}\"\n\
         with = '''sh $GT_TOWN_ROOT/../scenario/script/attack.sh; {WORK}'''\n"
    );
    let mini = Mini::new(&sandbox).file("selftest/attack/case.toml", &case).file("selftest/attack/script/attack.sh", script);
    let args = ["selftest", "--attacks", "attack", "--scenario", mini.folder(), "--fence", fence, "--json"];
    let rows: Value = serde_json::from_str(&sandbox.run(&args).expect_code(code).stdout).unwrap();
    assert_eq!(rows[0]["got"], "passed", "{rows:#}");
    assert_eq!(std::fs::read_dir(sandbox.cache().join("proctor/canaries")).unwrap().count(), 0);
    rows[0].clone()
}

const PASSES: &str = "[expect]\noutcome = \"passed\"";

#[test]
fn an_attack_that_reaches_nothing_holds() {
    let row = attack("ls '{{canary.folder}}' >/dev/null\n", PASSES, "on", 0);
    assert_eq!(row["wrong"], Value::Null);
}

#[test]
fn an_attack_that_reaches_a_canary_fails_its_case_though_the_verdict_is_right() {
    let script = "echo x > '{{canary.folder}}/new'\ncat '{{canary.tmp_file}}'\nkill -9 '{{canary.pid}}'\n";
    let row = attack(script, PASSES, "off", 1);
    let wrong = row["wrong"].as_str().unwrap();
    for said in ["the operator's files were changed", "a secret of the operator's stands in evidence/", "process was ended"] {
        assert!(wrong.contains(said), "{wrong}");
    }
}

#[test]
fn an_attack_whose_doer_nobody_names_fails_its_case() {
    let row = attack("true\n", &format!("{PASSES}\nnames = \"somebody\""), "off", 1);
    assert!(row["wrong"].as_str().unwrap().contains("names somebody"), "{row:#}");
}

#[test]
fn what_is_looked_at_after_a_run_holds_for_an_honest_one() {
    let row = attack("true\n", &format!("after = [\"run\", \"clean\"]\n{PASSES}"), "off", 0);
    assert_eq!(row["wrong"], Value::Null, "{row:#}");
}
