//! Exercises on a real interpreter and a real bundle.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and a skipped one says so"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use proctor_harness::cycle::Cancel;
use proctor_harness::exercise::{Again, again};
use proctor_harness::scenario::{Files, Scenario, load};
use proctor_judge::evidence::{ExerciseRecord, FenceMode, Time};

const SPEC: &str = r#"
schema = 1
name = "t"
title = "T"
convoy = "C"
watch = ["*.pem", "secret*"]
[[rig]]
name = "bob"
[runtime]
kind = "python"
[[exercise]]
name = "first"
title = "writes"
[[exercise.step]]
name = "make"
checker = ["make.py"]
[[exercise]]
name = "second"
title = "reads what the first wrote"
after = "first"
[[exercise.step]]
name = "state"
checker = ["state.py"]
[[exercise.step]]
name = "read"
subject = ["bob", "bob.py", "${word}"]
[[exercise.step]]
name = "never"
checker = ["make.py"]
needs = ["read"]
[[exercise]]
name = "slow"
title = "hangs"
[[exercise.step]]
name = "hang"
checker = ["hang.py"]
timeout = "300ms"
[[exercise]]
name = "missing"
title = "what was not merged"
[[exercise.step]]
name = "run"
subject = ["bob", "gone.py"]
"#;

fn scenario() -> Scenario {
    let files = [
        ("scenario.toml", SPEC),
        ("prompt.md", "do it"),
        ("script/mayor.toml", ""),
        ("checks/make.py", "open('secret.txt', 'w').write('x' * 3); open('plain.txt', 'w').write('y')"),
        ("checks/state.py", "print('fact word=cipher')"),
        ("checks/hang.py", "import time; print('begun', flush=True); time.sleep(600)"),
    ];
    let map = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    load(&Files::new("t", map)).unwrap()
}

fn git(cwd: &Path, args: &[&str]) {
    let out =
        Command::new("git").args(["-c", "user.name=t", "-c", "user.email=t@t"]).args(args).current_dir(cwd).output().unwrap();
    assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

async fn run(name: &str) -> Option<ExerciseRecord> {
    if !Path::new("/usr/bin/python3").exists() {
        eprintln!("skipped: python3 not found");
        return None;
    }
    let root = tempfile::tempdir().unwrap();
    let repo = root.path().join("repo");
    std::fs::create_dir_all(root.path().join("evidence/git")).unwrap();
    git(root.path(), &["init", "-q", "-b", "main", "repo"]);
    std::fs::write(repo.join("bob.py"), "import sys; print(open('secret.txt').read(), sys.argv[1]); sys.exit(7)").unwrap();
    git(&repo, &["add", "-A"]);
    git(&repo, &["commit", "-qm", "bob"]);
    git(&repo, &["bundle", "create", "-q", "../evidence/git/bob.bundle", "--all"]);
    let environment = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
    let scenario = scenario();
    let request = Again {
        scenario: &scenario,
        evidence: &root.path().join("evidence"),
        cache: &root.path().join("cache"),
        python: Some(Path::new("/usr/bin/python3")),
        environment: &environment,
        work: root.path().join("work"),
        fence: FenceMode::Off,
        proctor: "/nowhere".into(),
        secret: "s".into(),
        clock: Arc::new(|| Time::UNIX_EPOCH),
    };
    Some(again(request, name, &Cancel::new()).await.unwrap())
}

#[tokio::test]
async fn what_was_merged_is_run_and_everything_about_it_recorded() {
    let Some(record) = run("second").await else { return };
    let read = &record.steps[1];
    assert_eq!((read.name.as_str(), read.by.as_str(), read.exit), ("read", "subject", Some(7)));
    assert_eq!(read.stdout, "xxx cipher\n", "files of the exercise before, and a stated fact");
    assert_eq!(read.opened, ["secret.txt"]);
    assert_eq!(read.command, ["$PYTHON", "$REPO/bob/bob.py", "cipher"]);
    assert!(read.files.iter().all(|file| !file.changed));
    assert_eq!(record.steps.len(), 2, "a step that needs a failed one is not run");
    assert!(record.not_done.unwrap().contains("`read` did not exit with 0"));
}

#[tokio::test]
async fn a_step_that_hangs_is_ended_and_what_it_said_is_kept() {
    let Some(record) = run("slow").await else { return };
    let step = &record.steps[0];
    assert_eq!(step.exit, None);
    assert_eq!(step.ended.as_deref(), Some("time limit 0.3 s"));
}

#[tokio::test]
async fn a_deliverable_that_is_not_on_main_is_named() {
    let Some(record) = run("missing").await else { return };
    assert_eq!(record.not_done.as_deref(), Some("gone.py is not on main of bob"));
    assert!(record.steps.is_empty());
}
