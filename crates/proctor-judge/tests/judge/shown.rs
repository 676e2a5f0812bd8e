//! What agents chose is seen in every report and acts in none; and what a run that was ended says, and does not say.

use std::fs;
use std::path::Path;

use proctor_judge::evidence::{StopKind, Stopped};
use proctor_judge::summary::{Level, Summary};
use proctor_judge::terminal::{Style, finding, findings, render};
use proctor_judge::{Options, Outcome, judge, open, write_reports};

use crate::world::{World, finding as found, t, worker};

/// Escape sequences, other control characters, a bidirectional override, characters of no width, what XML does not know.
const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{7f}\u{0}\u{202e}gpj\u{2066}\u{200b}\u{feff}\u{fffe}<b>&\r";

/// A run in which agents chose hostile texts wherever they can choose one.
fn hostile() -> World {
    let mut world = World::bob_unfinished();
    let evil = |text: &mut String| text.push_str(HOSTILE);
    evil(&mut world.record.title);
    evil(&mut world.bead("bob").title);
    evil(&mut world.bead("alice").title);
    evil(&mut world.bead("bob").status);
    evil(&mut world.mail.as_mut().unwrap()[0].subject);
    evil(&mut world.convoys.as_mut().unwrap()[0].title);
    evil(&mut world.git("alice").commits[0].subject);
    evil(&mut world.git("alice").commits[0].author);
    evil(&mut world.step("bob").stdout);
    evil(&mut world.step("bob").stderr);
    evil(&mut world.exchanges[2].answered);
    world.exchanges[2].agent = worker("bob");
    world.record.notes.insert(format!("note{HOSTILE}"), HOSTILE.into());
    world.record.versions.insert(format!("gt{HOSTILE}"), HOSTILE.into());
    world.record.phases[5].detail = HOSTILE.into();
    let mut session = world.sessions.as_ref().unwrap()[1].clone();
    (session.agent, session.session) = (format!("alice/polecats/{HOSTILE}"), HOSTILE.into());
    world.sessions.as_mut().unwrap().push(session);
    world.record.leftovers.push(proctor_judge::evidence::Leftover { pid: 7, command: HOSTILE.into(), agent: None, ended: true });
    world.signs.last_mut().unwrap().now = HOSTILE.into();
    world
}

fn acts(c: char) -> bool {
    let spelled = proctor_judge::visible(c.encode_utf8(&mut [0; 4])).into_owned();
    !matches!(c, '\n' | '\t') && spelled != c.to_string()
}

fn written(world: &World) -> (tempfile::TempDir, Summary) {
    let dir = world.write();
    let judgement = judge(dir.path(), &Options::default()).unwrap();
    write_reports(dir.path(), &judgement).unwrap();
    (dir, judgement.summary)
}

fn reports(dir: &Path) -> Vec<(String, String)> {
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap()).filter(|file| file.path().is_file());
    files.map(|file| (file.file_name().into_string().unwrap(), fs::read_to_string(file.path()).unwrap())).collect()
}

#[test]
fn no_report_holds_a_character_that_acts() {
    let (dir, _) = written(&hostile());
    let reports = reports(dir.path());
    assert_eq!(reports.len(), 12, "eight numbered files, README.md, report.html, summary.json, junit.xml");
    for (name, text) in &reports {
        let bad = text.char_indices().find(|(_, c)| acts(*c));
        assert_eq!(bad, None, "{name}: …{}", bad.map_or("", |(at, _)| &text[at.saturating_sub(60)..at]));
    }
    for name in ["report.html", "junit.xml", "08-recommendations.md", "summary.json"] {
        let text = &reports.iter().find(|(known, _)| known == name).unwrap().1;
        assert!(text.contains("x1b[2J") && text.contains("u{202e}gpj"), "{name} shows what was there");
    }
    let json = &reports.iter().find(|(name, _)| name == "summary.json").unwrap().1;
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    assert!(!value.to_string().chars().any(acts), "a reader of summary.json that prints a text acts on nothing");
}

#[test]
fn no_text_for_a_terminal_acts_coloured_or_not() {
    let (dir, summary) = written(&hostile());
    let judgement = judge(dir.path(), &Options::default()).unwrap();
    let own = regex::Regex::new("\u{1b}\\[(0|1|2|1;3[123])m").unwrap();
    for ansi in [false, true] {
        let style = Style { ansi };
        let mut texts = vec![render(&summary, "r\u{1b}[2J", style, 100), findings(&summary, style, 100)];
        for one in &summary.findings {
            let opened = open(dir.path(), &judgement, one).unwrap();
            texts.push(finding(one, &opened, style, 100));
            texts.push(proctor_judge::bug_report(dir.path(), &judgement, one).unwrap());
        }
        let comparison = proctor_judge::compare(dir.path(), dir.path()).unwrap();
        texts.push(proctor_judge::terminal::comparison(&comparison, style, 100));
        texts.push(proctor_judge::compare::markdown(&comparison));
        for text in texts {
            let rest = own.replace_all(&text, "");
            assert!(!rest.chars().any(acts), "{rest:?}");
            assert!(ansi || rest == text, "no colours where none were asked for");
        }
    }
}

#[test]
fn no_line_of_a_title_can_be_taken_for_another_finding() {
    let mut world = World::bob_unfinished();
    world.bead("bob").title = "x\n✗ the origin is gone".into();
    let text = render(&world.judged(), "r", Style { ansi: false }, 100);
    assert!(!text.lines().any(|line| line.starts_with("✗ the origin")), "{text}");
}

fn stopped(kind: StopKind, phase: u8) -> World {
    let mut world = World::passing();
    world.record.stopped = Some(Stopped { kind, phase, message: "ended".into(), hint: None });
    world.exercises[0].steps.clear();
    world.exercises[0].not_done = Some("the run ended".into());
    world.rigs = None;
    world.deliveries = None;
    world.mail = Some(Vec::new());
    world.files.clear();
    world
}

#[test]
fn a_run_that_was_ended_while_it_collected_has_one_finding() {
    for (kind, id) in [
        (StopKind::Cancelled, "run.cancelled"),
        (StopKind::Environment, "run.environment_error"),
        (StopKind::Harness, "run.harness_error"),
    ] {
        let summary = stopped(kind, 7).judged();
        let wrong: Vec<&str> = summary.findings.iter().filter(|f| f.level != Level::Note).map(|f| f.id.as_str()).collect();
        assert_eq!(wrong, [id]);
        assert_eq!(summary.totals.checks_failed, 0, "{kind:?}");
    }
}

#[test]
fn junit_fails_only_where_the_outcome_is_about_the_system_under_test() {
    let tags = |world: &World| {
        let (dir, summary) = written(world);
        let xml = fs::read_to_string(dir.path().join("junit.xml")).unwrap();
        let number = |tag: &str| xml.matches(tag).count();
        let counted = |name: &str, tag: &str| assert!(xml.contains(&format!("{name}=\"{}\"", number(tag))), "{xml}");
        counted("failures", "<failure");
        counted("errors", "<error");
        counted("skipped", "<skipped");
        (summary.outcome, number("<failure") > 0, number("<error"), number("<skipped") > 0)
    };
    for (kind, outcome) in [
        (StopKind::Cancelled, Outcome::Cancelled),
        (StopKind::Harness, Outcome::HarnessError),
        (StopKind::Environment, Outcome::EnvironmentError),
        (StopKind::Provider, Outcome::ProviderError),
    ] {
        for phase in [6, 7] {
            assert_eq!(tags(&stopped(kind, phase)), (outcome, false, 1, true), "phase {phase}");
        }
    }
    // What does not hold in a run that a script ended is no failure either.
    let mut world = World::bob_unfinished();
    world.exchanges[0].miss = Some("no rule matches: \"x\"".into());
    assert_eq!(tags(&world), (Outcome::HarnessError, false, 1, true));
    assert_eq!(tags(&World::bob_unfinished()).0, Outcome::NotLanded);
    assert!(tags(&World::bob_unfinished()).1);
    let mut world = World::passing();
    world.mail = Some(Vec::new());
    assert_eq!(tags(&world), (Outcome::Failed, true, 0, false));
    assert_eq!(tags(&World::passing()), (Outcome::Passed, false, 0, false));
}

#[test]
fn harness_and_judge_mean_the_same_convoy_and_a_finding_names_the_one_that_is_there() {
    for title in ["the tales", "THE TALES", "Convoy: The Tales of two"] {
        let mut world = World::passing();
        world.convoys.as_mut().unwrap()[0].title = title.into();
        let summary = world.judged();
        assert_eq!(summary.outcome, Outcome::Passed, "{title}: {}", summary.headline);
        let note = found(&summary, "landed.convoy_title");
        assert_eq!((note.level, note.title.contains(title)), (Level::Note, true), "{}", note.title);
    }
    for title in ["Tales", "Work: The Tales", "The Tails"] {
        let mut world = World::passing();
        world.convoys.as_mut().unwrap()[0].title = title.into();
        let sign = world.signs.iter_mut().rfind(|s| s.clause == "convoy_closed").unwrap();
        (sign.value, sign.now, sign.last_seen) = (false, "no convoy".into(), t(6.0));
        let summary = world.judged();
        assert_eq!(summary.outcome, Outcome::NotLanded);
        let why = found(&summary, "landed.convoy_open");
        assert!(why.title.contains(&format!("there is hq-cv-1 \"{title}\" (closed)")), "{}", why.title);
    }
}
