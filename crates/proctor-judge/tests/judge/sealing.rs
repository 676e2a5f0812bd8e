//! Evidence that is not what was sealed: named, unknown, never passed.

use std::fs;
use std::path::{Path, PathBuf};

use proctor_judge::seal::{SEALED, Seal, SealedFile, SealedKind, sealed_path};
use proctor_judge::summary::{CheckStatus, SealStatus, Summary};
use proctor_judge::{Options, Outcome, judge, write_reports};
use sha2::{Digest, Sha256};

use crate::world::World;

/// A passing run whose evidence is sealed as the harness does it.
fn sealed() -> tempfile::TempDir {
    let mut world = World::passing();
    world.record.seals = true;
    let dir = world.write();
    seal(dir.path());
    dir
}

fn seal(dir: &Path) -> Seal {
    let files = files_of(dir).into_iter().map(|path| {
        let bytes = fs::read(&path).unwrap();
        let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let path = sealed_path(path.strip_prefix(dir).unwrap());
        SealedFile { path, kind: SealedKind::File, size: bytes.len() as u64, sha256, records: None }
    });
    let seal = Seal::of("run-1", files.collect());
    fs::write(dir.join("evidence").join(SEALED), serde_json::to_vec(&seal).unwrap()).unwrap();
    seal
}

fn files_of(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![dir.join("evidence")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() { folders.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found.retain(|path| !path.ends_with(SEALED));
    found.sort();
    found
}

fn judged(dir: &Path) -> Summary {
    judge(dir, &Options::default()).unwrap().summary
}

/// The titles of findings of damaged evidence.
fn named(summary: &Summary) -> Vec<&str> {
    summary.findings.iter().filter(|f| f.id == "evidence.changed").map(|f| f.title.as_str()).collect()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x20;
    fs::write(path, bytes).unwrap();
}

#[test]
fn whole_evidence_passes_and_states_the_digest_wherever_it_lies() {
    let dir = sealed();
    let first = judged(dir.path());
    assert_eq!((first.outcome, first.seal.status), (Outcome::Passed, SealStatus::Sealed), "{:?}", first.findings);
    assert_eq!(first.seal.digest.as_ref().map(String::len), Some(64));
    assert_eq!(named(&first), Vec::<&str>::new());
    let moved = tempfile::tempdir().unwrap();
    let place = moved.path().join("elsewhere");
    fs::rename(dir.path(), &place).unwrap();
    assert_eq!(judged(&place), first);
    fs::create_dir(dir.path()).unwrap();
}

#[test]
fn a_flipped_byte_in_any_file_is_named_and_the_run_is_not_passed() {
    let dir = sealed();
    for (number, path) in files_of(dir.path()).iter().enumerate().filter(|(_, path)| fs::metadata(path).unwrap().len() > 0) {
        let whole = fs::read(path).unwrap();
        // Any place will do, and another one in each file.
        flip(path, (number * 7919 + 13) % whole.len());
        let summary = judged(dir.path());
        let name = sealed_path(path.strip_prefix(dir.path()).unwrap());
        assert_eq!(summary.outcome, Outcome::Unknown, "{name}");
        assert_eq!(summary.seal.status, SealStatus::Changed, "{name}");
        assert_eq!(named(&summary), [format!("{name} has as many bytes as proctor wrote, and others")]);
        fs::write(path, whole).unwrap();
    }
    assert_eq!(judged(dir.path()).outcome, Outcome::Passed, "it is the same again");
}

#[test]
fn what_is_cut_short_longer_missing_added_or_something_else_is_named_as_that() {
    let dir = sealed();
    let at = |name: &str| dir.path().join("evidence").join(name);
    let mail = fs::read(at("town/mail.ndjson")).unwrap();
    fs::write(at("town/mail.ndjson"), &mail[..mail.len() / 2]).unwrap();
    fs::write(at("town/beads.ndjson"), [fs::read(at("town/beads.ndjson")).unwrap(), b"{}\n".to_vec()].concat()).unwrap();
    fs::remove_file(at("signs.ndjson")).unwrap();
    fs::create_dir_all(at("exercise/forged")).unwrap();
    fs::write(at("exercise/forged/record.json"), "{}").unwrap();
    fs::remove_file(at("git/bob/tree/bob.py")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", at("git/bob/tree/bob.py")).unwrap();
    let summary = judged(dir.path());
    assert_eq!(summary.outcome, Outcome::Unknown);
    assert_eq!(summary.seal.changed, 5);
    let text = named(&summary).join("\n");
    for part in [
        "evidence/exercise/forged/record.json was not written by proctor",
        "evidence/git/bob/tree/bob.py is a symbolic link where proctor wrote something else",
        "evidence/signs.ndjson is not there any more",
        "evidence/town/mail.ndjson has",
        "evidence/town/beads.ndjson has",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn only_checks_that_need_what_is_damaged_are_unknown() {
    let dir = sealed();
    flip(&dir.path().join("evidence/telemetry/journal.bin"), 100);
    let summary = judged(dir.path());
    for check in &summary.checks {
        let needs = ["no_errors", "telemetry", "promql", "logsql", "budget"].contains(&check.kind.as_str());
        assert_eq!(check.status == CheckStatus::Unknown, needs, "{}: {}", check.id, check.saw);
    }
    let finding = summary.findings.iter().find(|f| f.id == "evidence.changed").unwrap();
    assert!(finding.details.iter().any(|detail| detail.label == "unknown for it"), "{finding:?}");
}

#[test]
fn a_failure_that_stands_in_whole_evidence_stays_one() {
    let dir = sealed();
    fs::write(dir.path().join("evidence/git/bob/tree/bob.py"), "").unwrap();
    let mail = dir.path().join("evidence/town/mail.ndjson");
    fs::write(&mail, "").unwrap();
    seal(dir.path());
    flip(&dir.path().join("evidence/gateway/exchanges.ndjson"), 40);
    assert_eq!(judged(dir.path()).outcome, Outcome::Failed);
}

#[test]
fn a_changed_list_is_no_seal_and_a_list_made_anew_is_another_one() {
    let dir = sealed();
    let own = fs::read(dir.path().join("evidence").join(SEALED)).unwrap();
    let memory: Seal = serde_json::from_slice(&own).unwrap();
    let list = dir.path().join("evidence").join(SEALED);
    flip(&list, own.len() / 2);
    let summary = judged(dir.path());
    assert_eq!((summary.outcome, summary.seal.digest), (Outcome::Unknown, None));

    // Whoever edits a file may make the list anew; what the harness holds, or a person wrote down, tells.
    fs::write(dir.path().join("evidence/town/mail.ndjson"), "").unwrap();
    seal(dir.path());
    assert_ne!(judged(dir.path()).seal.status, SealStatus::Changed, "nobody else can tell");
    let by_memory = Options { seal: Some(memory.clone()), ..Options::default() };
    let by_memory = judge(dir.path(), &by_memory).unwrap().summary;
    assert_eq!(by_memory.outcome, Outcome::Unknown);
    assert!(named(&by_memory).iter().any(|title| title.starts_with("evidence/town/mail.ndjson has 0 bytes")), "{by_memory:?}");
    let by_hand = Options { digest: Some(memory.digest.to_uppercase()), ..Options::default() };
    let by_hand = judge(dir.path(), &by_hand).unwrap().summary;
    assert!(by_hand.outcome != Outcome::Passed && named(&by_hand)[0].contains(&memory.digest.to_uppercase()));
}

#[test]
fn a_record_that_cannot_be_read_leaves_a_verdict_all_the_same() {
    for damage in ["{", ""] {
        let dir = sealed();
        fs::write(dir.path().join("evidence/run.json"), damage).unwrap();
        let summary = judged(dir.path());
        assert_eq!(summary.outcome, Outcome::Unknown);
        assert!(summary.headline.contains("evidence/run.json"), "{}", summary.headline);
        assert_eq!(summary.run.run_id, "run-1");
    }
}

#[test]
fn a_record_that_was_edited_does_not_shift_the_blame() {
    let dir = sealed();
    let path = dir.path().join("evidence/run.json");
    let text = fs::read_to_string(&path).unwrap();
    let stopped = r#""stopped": {"kind": "environment", "phase": 2, "message": "no", "hint": null}"#;
    fs::write(&path, text.replace(r#""stopped": null"#, stopped)).unwrap();
    assert_eq!(judged(dir.path()).outcome, Outcome::Unknown);
}

#[test]
fn a_seal_that_was_removed_is_missed_and_one_that_never_was_is_told() {
    let dir = sealed();
    fs::remove_file(dir.path().join("evidence").join(SEALED)).unwrap();
    let summary = judged(dir.path());
    assert_eq!(summary.outcome, Outcome::Unknown);
    assert!(named(&summary)[0].contains("is not there, although the run ended"));

    let older = World::passing().write();
    let summary = judged(older.path());
    assert_eq!((summary.outcome, summary.seal.status), (Outcome::Passed, SealStatus::Never));
    assert!(summary.findings.iter().any(|f| f.id == "evidence.never_sealed"), "{:?}", summary.findings);

    let mut killed = World::passing();
    (killed.record.seals, killed.record.ended_at) = (true, None);
    let summary = judged(killed.write().path());
    assert_eq!(summary.outcome, Outcome::Unknown);
    assert_eq!(summary.seal.why.as_deref(), Some("never sealed: the run was killed"));
}

#[test]
fn a_seal_of_another_run_does_not_count() {
    let dir = sealed();
    let list = dir.path().join("evidence").join(SEALED);
    let own: Seal = serde_json::from_slice(&fs::read(&list).unwrap()).unwrap();
    fs::write(&list, serde_json::to_vec(&Seal::of("run-2", own.files)).unwrap()).unwrap();
    assert!(judged(dir.path()).headline.contains("the seal of another run"));
}

#[test]
fn what_phase_8_adds_to_a_file_leaves_its_sealed_beginning_whole() {
    let mut world = World::passing();
    world.record.seals = true;
    let dir = world.write();
    let log = dir.path().join("run.log");
    fs::write(&log, "one\ntwo\n").unwrap();
    let own = seal(dir.path());
    let sha256 = Sha256::digest(b"one\ntwo\n").iter().map(|byte| format!("{byte:02x}")).collect();
    let begun = SealedFile { path: "run.log".into(), kind: SealedKind::Beginning, size: 8, sha256, records: Some(2) };
    let files = own.files.into_iter().chain([begun]).collect();
    fs::write(dir.path().join("evidence").join(SEALED), serde_json::to_vec(&Seal::of("run-1", files)).unwrap()).unwrap();
    fs::write(&log, "one\ntwo\nthree\n").unwrap();
    assert_eq!(judged(dir.path()).outcome, Outcome::Passed);
    fs::write(&log, "one\ntwO\nthree\n").unwrap();
    assert_eq!(named(&judged(dir.path())), ["run.log has as many bytes as proctor wrote, and others"]);
}

#[test]
fn many_damaged_files_are_counted_and_the_reports_stay_readable() {
    let dir = sealed();
    for number in 0..100 {
        fs::write(dir.path().join(format!("evidence/raw-{number:03}")), "x").unwrap();
    }
    let judgement = judge(dir.path(), &Options::default()).unwrap();
    let titles = named(&judgement.summary);
    assert_eq!((titles.len(), judgement.summary.seal.changed), (9, 100));
    assert_eq!(titles[8], "92 more files are not what proctor wrote");
    write_reports(dir.path(), &judgement).unwrap();
}

#[test]
fn a_fifo_in_a_files_place_holds_nobody_up() {
    let dir = sealed();
    let path = dir.path().join("evidence/town/mail.ndjson");
    fs::remove_file(&path).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let summary = judged(dir.path());
    assert_eq!(named(&summary), ["evidence/town/mail.ndjson is a FIFO where proctor wrote something else"]);
}

/// What `kill -9` leaves: a last row without its end, a journal that ends within a frame.
#[test]
fn a_torn_tail_of_a_killed_run_is_told_from_damage() {
    let mut world = World::passing();
    (world.record.seals, world.record.ended_at) = (true, None);
    let dir = world.write();
    let at = |name: &str| dir.path().join("evidence").join(name);
    for name in ["gateway/exchanges.ndjson", "telemetry/journal.bin"] {
        let bytes = fs::read(at(name)).unwrap();
        fs::write(at(name), &bytes[..bytes.len() - 5]).unwrap();
    }
    let torn = judged(dir.path());
    assert_eq!(named(&torn), Vec::<&str>::new());
    assert!(torn.findings.iter().any(|f| f.id == "evidence.unread" && f.title.contains("cut off")), "{:?}", torn.findings);

    flip(&at("gateway/exchanges.ndjson"), 1);
    flip(&at("telemetry/journal.bin"), 60);
    let damaged = judged(dir.path());
    let text = named(&damaged).join("\n");
    assert!(text.contains("evidence/gateway/exchanges.ndjson cannot be read: line 1"), "{text}");
    assert!(text.contains("evidence/telemetry/journal.bin cannot be read"), "{text}");
    assert_eq!(damaged.outcome, Outcome::Unknown);
}

#[test]
fn a_flipped_byte_in_the_telemetry_of_a_run_that_was_never_sealed_does_not_pass() {
    let dir = World::passing().write();
    assert_eq!(judged(dir.path()).outcome, Outcome::Passed);
    let journal = dir.path().join("evidence/telemetry/journal.bin");
    let length = fs::metadata(&journal).unwrap().len() as usize;
    for at in [30, length / 3, length / 2] {
        flip(&journal, at);
        let summary = judged(dir.path());
        assert_eq!((summary.outcome, named(&summary).len()), (Outcome::Unknown, 1), "at {at}");
        flip(&journal, at);
    }
}
