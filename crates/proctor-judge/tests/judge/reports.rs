//! What is written: the same bytes for the same evidence, valid by its schema, and nothing from the evidence becomes markup.

use std::fs;
use std::path::Path;

use proctor_judge::outcome::{Outcome, USAGE_EXIT_CODE};
use proctor_judge::terminal::{Style, render};
use proctor_judge::{Judgement, Options, Summary, judge, write_reports};

use crate::world::World;

fn judged(dir: &Path) -> Judgement {
    let judgement = judge(dir, &Options::default()).unwrap();
    write_reports(dir, &judgement).unwrap();
    judgement
}

const REPORTS: [&str; 12] = [
    "01-otel-reset.md",
    "02-gastown-reset.md",
    "03-otel-start.md",
    "04-gastown-start.md",
    "05-test-launch.md",
    "06-test-results.md",
    "07-otel-data.md",
    "08-recommendations.md",
    "README.md",
    "report.html",
    "summary.json",
    "junit.xml",
];

#[test]
fn the_same_evidence_gives_the_same_bytes_wherever_it_lies() {
    let (first, second) = (World::passing().write(), World::passing().write());
    judged(first.path());
    judged(second.path());
    for name in REPORTS {
        let read = |dir: &Path| fs::read_to_string(dir.join(name)).unwrap();
        assert_eq!(read(first.path()), read(second.path()), "{name}");
    }
    let before = fs::read_to_string(first.path().join("summary.json")).unwrap();
    judged(first.path());
    assert_eq!(before, fs::read_to_string(first.path().join("summary.json")).unwrap(), "judged again");
    assert!(!before.contains(&first.path().display().to_string()), "a path of this machine");
}

#[test]
fn the_summary_fits_its_schema_and_reads_back() {
    let validator = jsonschema::validator_for(&Summary::json_schema()).unwrap();
    for world in [World::passing(), World::bob_unfinished()] {
        let dir = world.write();
        let summary = judged(dir.path()).summary;
        let text = fs::read_to_string(dir.path().join("summary.json")).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|e| e.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new());
        assert_eq!(serde_json::from_value::<Summary>(value).unwrap(), summary);
    }
}

#[test]
fn the_checked_in_schema_is_the_generated_one() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/summary.schema.json");
    let generated = serde_json::to_string_pretty(&Summary::json_schema()).unwrap() + "\n";
    if std::env::var_os("PROCTOR_BLESS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, &generated).unwrap();
    }
    let checked_in = fs::read_to_string(&file).unwrap_or_default();
    assert!(checked_in == generated, "schemas/summary.schema.json differs; write it with PROCTOR_BLESS=1");
}

#[test]
fn the_documented_exit_codes_are_the_real_ones() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/exit-codes.md")).unwrap();
    for outcome in Outcome::ALL {
        let row = format!("| {} | `{outcome}` |", outcome.exit_code());
        assert!(text.contains(&row), "{row} is not in docs/exit-codes.md");
    }
    assert!(text.contains(&format!("| {USAGE_EXIT_CODE} | – |")));
}

#[test]
fn every_finding_id_is_explained() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/report.md")).unwrap();
    let sources = ["fence.rs", "followed.rs", "landed.rs", "models.rs", "notes.rs", "telemetry.rs"]
        .map(|name| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/findings").join(name)).unwrap());
    let mut known = 0;
    for (prefix, pattern) in [("landed.", r#"problem\("([a-z_]+)""#), ("", r#""([a-z]+\.[a-z_]+)""#)] {
        for found in sources.iter().flat_map(|s| regex::Regex::new(pattern).unwrap().captures_iter(s).collect::<Vec<_>>()) {
            let id = format!("`{prefix}{}`", &found[1]);
            let is_id = id != "`run.log`";
            assert!(!is_id || text.contains(&id), "{id} is not in docs/report.md");
            known += 1;
        }
    }
    assert!(known > 20, "only {known} ids were found in the source");
}

#[test]
fn the_page_needs_nothing_from_outside_and_evidence_never_becomes_markup() {
    let mut world = World::passing();
    let evil = "<script>alert(1)</script>";
    world.step("bob").stdout = format!("{evil}\u{1b}[31m Meet me at midnight.");
    world.bead("bob").title = format!("{evil} & more");
    world.record.title = evil.into();
    let dir = world.write();
    judged(dir.path());
    let page = fs::read_to_string(dir.path().join("report.html")).unwrap();
    assert!(!page.contains(evil) && page.contains("&lt;script&gt;"));
    for outside in ["<script", "<link", "<img", "@import", "url(http", "src=\"http", "href=\"http"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("@media print") && page.contains("<svg"));
    assert!(!page.contains('\u{1b}'));
    let code = "print(&#39;hello&#39;)";
    assert!(page.contains(code) || page.contains("print('hello')"), "the code that ran is opened in place");
}

#[test]
fn the_verdict_stands_first_on_the_page() {
    let dir = World::bob_unfinished().write();
    judged(dir.path());
    let page = fs::read_to_string(dir.path().join("report.html")).unwrap();
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text}"));
    assert!(at("<h1>NOT LANDED</h1>") < at("id=\"findings\""));
    assert!(at("id=\"findings\"") < at("id=\"failed\""));
    assert!(at("id=\"failed\"") < at("<svg"));
    assert!(at("<svg") < at("id=\"delivered\""));
    assert!(at("id=\"agents\"") < at("id=\"telemetry\""));
}

#[test]
fn the_markdown_files_say_the_same() {
    let dir = World::bob_unfinished().write();
    let summary = judged(dir.path()).summary;
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    assert!(read("03-otel-start.md").contains("| port | 40211 |"));
    assert!(read("05-test-launch.md").contains("mayor's model request 2"));
    assert!(read("06-test-results.md").contains("| issues closed | 1/2 |"));
    assert!(read("07-otel-data.md").contains("sum by (model)(bd_ai_input_tokens_total)"));
    assert!(read("08-recommendations.md").contains("`landed.worker_hangs`"));
    assert!(read("README.md").contains(&summary.outcome.shout()));
}

#[test]
fn junit_counts_what_it_holds() {
    let dir = World::bob_unfinished().write();
    let summary = judged(dir.path()).summary;
    let xml = fs::read_to_string(dir.path().join("junit.xml")).unwrap();
    let cases = summary.checks.len() + summary.landed.len() + 1;
    assert_eq!(xml.matches("<testcase ").count(), cases);
    assert!(xml.contains(&format!("tests=\"{cases}\"")));
    let failures = xml.matches("<failure ").count();
    let false_clauses = summary.landed.iter().filter(|c| c.value == Some(false)).count();
    assert_eq!(failures as u64, summary.totals.checks_failed + false_clauses as u64);
    assert!(xml.contains(&format!("failures=\"{failures}\"")));
}

#[test]
fn the_terminal_says_expected_saw_evidence_next_in_this_order() {
    let mut world = World::passing();
    world.step("bob").stdout = "Meet me at midnight.\n".into();
    world.step("bob").exit = Some(0);
    let summary = world.judged();
    let text = render(&summary, "reports/latest/report.html", Style { ansi: false }, 100);
    assert!(text.starts_with("FAILED in 7.0 s     3 model calls"), "{text}");
    let at = |word: &str| text.find(word).unwrap_or_else(|| panic!("no {word} in\n{text}"));
    assert!(at("✗ bob.py refuses a forged message") < at("expected"));
    assert!(at("expected") < at("    saw "));
    assert!(at("    saw ") < at("merged as"));
    assert!(at("merged as") < at("evidence/exercise/bob.signature/"));
    assert!(at("evidence/exercise/bob.signature/") < at("next       proctor exercise 7k3f bob.signature"));
    assert!(text.contains("report  reports/latest/report.html") && text.contains("look    proctor view 7k3f"));
    assert!(!text.contains('\u{1b}'));
    assert!(render(&summary, "r", Style { ansi: true }, 100).contains("\u{1b}[1;31mFAILED"));
}

#[test]
fn the_terminal_shows_the_clauses_of_a_run_that_did_not_land() {
    let summary = World::bob_unfinished().judged();
    let text = render(&summary, "report.html", Style { ansi: false }, 100);
    assert!(text.starts_with("NOT LANDED after 7.0 s"), "{text}");
    assert!(text.contains("issues closed     1/2     –            bead store"), "{text}");
    assert!(text.contains("no worker busy    2/2     +5.60 s      bead store"), "{text}");
}

#[test]
fn the_page_lists_what_follows_folded_and_after_the_cause() {
    let mut world = World::bob_unfinished();
    world.exercises[0].steps.clear();
    world.exercises[0].not_done = Some("not landed".into());
    let dir = world.write();
    judged(dir.path());
    let page = fs::read_to_string(dir.path().join("report.html")).unwrap();
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text}"));
    assert!(at("id=\"finding-landed.worker_hangs\"") < at("id=\"finding-checks.followed\""));
    assert!(page.contains("<details><summary>which</summary>") && !page.contains("id=\"finding-exercise.bob.refuses\""));
}

#[test]
fn a_commit_in_another_s_repository_is_shown_with_the_file_it_brought() {
    let mut world = World::passing();
    let mut commit = world.git("bob").commits[0].clone();
    (commit.author, commit.at, commit.files) = (crate::world::worker("alice"), crate::world::t(3.6), vec!["note.md".into()]);
    let mut file = world.git("bob").files[0].clone();
    file.path = "note.md".into();
    world.git("bob").commits.push(commit);
    world.git("bob").files.push(file);
    world.files.insert("git/bob/tree/note.md".into(), "Alice was here.".into());
    let dir = world.write();
    let summary = judged(dir.path()).summary;
    let finding = crate::world::finding(&summary, "own_repository");
    let places: Vec<&str> = finding.evidence.iter().map(|e| e.at.as_str()).collect();
    assert_eq!(places, ["evidence/git/bob/tree/note.md", "evidence/git/rigs.ndjson:2"]);
    assert!(finding.saw.as_deref().unwrap().starts_with("alice/furiosa of rig alice wrote "), "{:?}", finding.saw);
    assert_eq!(finding.next.as_deref(), Some("proctor view '7k3f#agent=alice/furiosa&at=3.60'"));
    assert!(fs::read_to_string(dir.path().join("report.html")).unwrap().contains("<pre>Alice was here.</pre>"));
}

#[test]
fn an_id_that_finds_no_room_beside_its_title_stands_below_it() {
    let mut summary = World::bob_unfinished().judged();
    let width = 60;
    summary.findings[0].title = "a title of words that fill the line up to its end, or so".into();
    let text = render(&summary, "r", Style { ansi: false }, width);
    let id = text.lines().find(|l| l.ends_with("landed.worker_hangs")).unwrap();
    assert_eq!((id.trim(), id.chars().count()), ("landed.worker_hangs", width));
}

#[test]
fn a_report_that_cannot_be_written_names_the_file() {
    let dir = World::passing().write();
    let judgement = judge(dir.path(), &Options::default()).unwrap();
    fs::create_dir(dir.path().join("report.html")).unwrap();
    fs::write(dir.path().join("report.html/occupied"), "").unwrap();
    let error = write_reports(dir.path(), &judgement).unwrap_err().to_string();
    assert!(error.contains("report.html"), "{error}");
    assert!(dir.path().join("summary.json").is_file(), "summary.json comes first");
}
