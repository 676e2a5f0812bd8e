//! The evidence of a real run: sealed, and never passed once anything of it was changed; registries, and who may write them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::mini::Mini;
use crate::sandbox::{Ran, Sandbox, copy_folder, summary};

/// A run that passed, and a copy of it.
fn passed(sandbox: &Sandbox) -> PathBuf {
    Ran::of(Mini::new(sandbox).run(&[]).output().unwrap()).expect_code(0);
    let copy = sandbox.work().join("copy");
    copy_folder(&sandbox.report(), &copy);
    copy
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => found.extend(files_below(&entry.path())),
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found.sort();
    found
}

fn judge(sandbox: &Sandbox, run: &Path, more: &[&str]) -> Ran {
    sandbox.run(&[&["judge", run.to_str().unwrap(), "--no-write"], more].concat())
}

#[test]
fn a_byte_flipped_in_any_file_of_a_real_run_is_named_and_never_passed() {
    let sandbox = Sandbox::new();
    let run = passed(&sandbox);
    judge(&sandbox, &run, &[]).expect_code(0);
    for (number, file) in files_below(&run.join("evidence")).iter().enumerate() {
        let whole = fs::read(file).unwrap();
        if whole.is_empty() {
            continue;
        }
        let mut changed = whole.clone();
        // Any place will do, and another one in each file.
        changed[(number * 7919 + 13) % whole.len()] ^= 1 << (number % 8);
        fs::write(file, changed).unwrap();
        let ran = judge(&sandbox, &run, &[]).expect_code(101);
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(ran.stdout.contains("evidence.changed") && ran.stdout.contains(name), "{name}: {}", ran.stdout);
        fs::write(file, whole).unwrap();
    }
    judge(&sandbox, &run, &[]).expect_code(0);
}

#[test]
fn the_digest_stands_everywhere_and_a_list_made_anew_has_another_one() {
    let sandbox = Sandbox::new();
    let ran = Ran::of(Mini::new(&sandbox).run(&[]).output().unwrap()).expect_code(0);
    let run = sandbox.report();
    let digest = summary(&run)["seal"]["digest"].as_str().unwrap().to_owned();
    for (place, text) in [
        ("the terminal", ran.stdout),
        ("README.md", fs::read_to_string(run.join("README.md")).unwrap()),
        ("report.html", fs::read_to_string(run.join("report.html")).unwrap()),
        ("sealed.json", fs::read_to_string(run.join("evidence/sealed.json")).unwrap()),
    ] {
        assert!(text.contains(&digest), "{place} has no {digest}");
    }
    judge(&sandbox, &run, &["--digest", &digest]).expect_code(0);
    let other = digest.chars().rev().collect::<String>();
    let ran = judge(&sandbox, &run, &["--digest", &other]).expect_code(101);
    assert!(ran.stdout.contains("is another seal"), "{}", ran.stdout);
    judge(&sandbox, &run, &["--digest", "5f3c"]).expect_code(2);
}

#[test]
fn what_was_edited_after_the_verdict_is_told_by_whoever_judges_again() {
    let sandbox = Sandbox::new();
    let run = passed(&sandbox);
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(sandbox.report().join("evidence")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700);
    fs::remove_file(run.join("evidence/signs.ndjson")).unwrap();
    fs::write(run.join("evidence/town/extra.ndjson"), "").unwrap();
    let ran = judge(&sandbox, &run, &[]).expect_code(101);
    assert!(ran.stdout.contains("evidence/signs.ndjson is not there any more"), "{}", ran.stdout);
    assert!(ran.stdout.contains("evidence/town/extra.ndjson was not written by proctor"), "{}", ran.stdout);
    fs::remove_file(run.join("evidence/sealed.json")).unwrap();
    let ran = judge(&sandbox, &run, &[]).expect_code(101);
    assert!(ran.stdout.contains("although the run ended"), "{}", ran.stdout);
}

/// Whoever can write to the cache's folder of base directories makes a run that never was, with a registry in it.
#[test]
fn clean_believes_no_registry_in_a_base_directory() {
    let sandbox = Sandbox::new();
    let base = sandbox.cache().join("proctor/runs/zzzz");
    let file = sandbox.work().join("operators");
    fs::create_dir_all(&base).unwrap();
    fs::write(&file, "x").unwrap();
    let mut process = Command::new("sleep").arg("600").spawn().unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    let started = stat.rsplit(") ").next().unwrap().split(' ').nth(19).unwrap().to_owned();
    let at = "2026-01-01T00:00:00Z";
    let lines = format!(
        "{{\"at\":\"{at}\",\"kind\":\"owner\",\"what\":\"x\",\"pid\":4000000,\"started\":1}}\n\
         {{\"at\":\"{at}\",\"kind\":\"file\",\"what\":\"{}\"}}\n\
         {{\"at\":\"{at}\",\"kind\":\"process\",\"what\":\"x\",\"pid\":{},\"started\":{started}}}\n",
        file.display(),
        process.id()
    );
    fs::write(base.join("registry.ndjson"), lines).unwrap();
    let said = sandbox.run(&["clean"]).expect_code(0).stdout;
    assert!(said.contains("zzzz") && said.contains("left alone") && said.contains("--older"), "{said}");
    assert!(base.exists() && file.exists());
    sandbox.run(&["clean", "--older"]).expect_code(0);
    assert!(!base.exists() && file.exists());
    assert!(process.try_wait().unwrap().is_none(), "the operator's process lives");
    process.kill().unwrap();
    process.wait().unwrap();
}

#[test]
fn a_folder_in_the_place_of_latest_is_named() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.work().join("reports/latest/x")).unwrap();
    let ran = Ran::of(Mini::new(&sandbox).run(&[]).output().unwrap()).expect_code(0);
    assert!(ran.stderr.contains("reports/latest does not point at this run"), "{}", ran.stderr);
    assert!(ran.stdout.contains("PASSED"));
}
