//! Evidence opened in place: the rows, output, code and query results that a finding points at, cut to a readable size.

use std::collections::BTreeSet;
use std::fs;

use crate::evidence::StepRecord;
use crate::run::Run;
use crate::summary::{CheckSummary, Evidence, EvidenceKind, Finding};
use crate::telemetry::Telemetry;
use crate::wording::without_ansi;

/// Characters of one piece that are shown.
const SHOWN: usize = 6000;

/// A piece of evidence as it is shown.
pub(super) struct Opened {
    /// Where it stands, or what it is.
    pub(super) title: String,
    /// Its text.
    pub(super) text: String,
    /// Characters that are not shown.
    pub(super) cut: usize,
}

impl Opened {
    fn new(title: impl Into<String>, text: &str) -> Self {
        let text = without_ansi(text);
        let all = text.chars().count();
        let shown: String = text.chars().take(SHOWN).filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
        Self { title: title.into(), text: shown, cut: all.saturating_sub(SHOWN) }
    }
}

/// What `finding` points at. `check` is the check it comes from, when it comes from one.
pub(super) fn of(run: &Run, telemetry: &Telemetry, finding: &Finding, step: Option<&str>) -> Vec<Opened> {
    finding.evidence.iter().flat_map(|e| one(run, telemetry, e, step)).collect()
}

/// The step that an exercise check looks at, from its plan.
pub(super) fn step_of<'a>(run: &'a Run, check: &CheckSummary) -> Option<&'a str> {
    let checks = &run.plan.as_ref()?.checks;
    match &checks.iter().find(|c| c.id == check.id)?.kind {
        crate::plan::CheckKind::Exercise(exercise) => Some(&exercise.step),
        _ => None,
    }
}

fn one(run: &Run, telemetry: &Telemetry, evidence: &Evidence, step: Option<&str>) -> Vec<Opened> {
    match evidence.kind {
        EvidenceKind::Path => at_path(run, &evidence.at, step),
        EvidenceKind::Logsql => telemetry.logsql(&evidence.at).map_or_else(
            |why| vec![Opened::new(&evidence.at, &why)],
            |answer| vec![Opened::new(format!("{} ({} rows)", evidence.at, answer.total), &rows(&answer))],
        ),
        EvidenceKind::Promql => {
            let text = match telemetry.promql(&evidence.at) {
                Err(why) => why,
                Ok(values) if values.is_empty() => "no series".into(),
                Ok(values) => values.iter().map(|(l, v)| format!("{l}  {v}\n")).collect(),
            };
            vec![Opened::new(&evidence.at, &text)]
        }
    }
}

/// The first rows of an answer, each with the fields that say something.
fn rows(answer: &proctor_store::logsql::Answer) -> String {
    let dull =
        |name: &str| name == "_stream" || name == "_stream_id" || name.starts_with("telemetry.sdk") || name.starts_with("os.");
    let one = |row: &proctor_store::logsql::Row| {
        let fields: Vec<String> = row.iter().filter(|(k, _)| !dull(k)).map(|(k, v)| format!("  {k}: {v}")).collect();
        fields.join("\n")
    };
    answer.rows.iter().take(5).map(one).collect::<Vec<_>>().join("\n\n")
}

fn at_path(run: &Run, at: &str, step: Option<&str>) -> Vec<Opened> {
    if let Some((_, record)) = run.exercises.values().find(|(folder, _)| folder == at) {
        return of_exercise(run, &record.steps, step);
    }
    match at.rsplit_once(':').and_then(|(file, line)| Some((file, line.parse::<usize>().ok()?))) {
        Some((file, line)) => row(run, at, file, line).into_iter().collect(),
        None => file(run, at).into_iter().collect(),
    }
}

/// The steps up to the one in question, that one first, then the deliverable that it or the last step before it ran.
fn of_exercise(run: &Run, steps: &[StepRecord], step: Option<&str>) -> Vec<Opened> {
    let last = steps.len().saturating_sub(1);
    let at = step.and_then(|name| steps.iter().position(|s| s.name == name)).unwrap_or(last);
    let upto = steps.get(..=at).unwrap_or_default();
    let Some((asked, before)) = upto.split_last() else { return Vec::new() };
    let ran = upto.iter().rev().find_map(|s| code(run, s));
    [of_step(asked)].into_iter().chain(ran).chain(before.iter().map(of_step)).collect()
}

/// A step: its command with both streams.
fn of_step(step: &StepRecord) -> Opened {
    let mut text = format!("$ {}\n", step.command.join(" "));
    for (name, stream) in [("stdout", &step.stdout), ("stderr", &step.stderr)] {
        if !stream.is_empty() {
            text += &format!("--- {name}\n{}\n", stream.trim_end());
        }
    }
    let end = step.exit.map_or_else(|| step.ended.clone().unwrap_or_default(), |code| format!("exit {code}"));
    text += &format!("--- {end}, {:.0} ms", step.duration_ms);
    if !step.opened.is_empty() {
        let files: BTreeSet<&str> = step.opened.iter().map(String::as_str).collect();
        text += &format!("\n--- opened {}", files.into_iter().collect::<Vec<_>>().join(", "));
    }
    Opened::new(format!("step {}", step.name), &text)
}

fn code(run: &Run, step: &StepRecord) -> Option<Opened> {
    let inside = step.command.iter().find_map(|part| part.split_once("$REPO/"))?.1;
    let (rig, name) = inside.split_once('/')?;
    let text = fs::read(run.tree_file(rig, name)).ok()?;
    Some(Opened::new(format!("evidence/git/{rig}/tree/{name}"), &String::from_utf8_lossy(&text)))
}

/// One line of a rows file, as indented JSON.
fn row(run: &Run, at: &str, file: &str, line: usize) -> Option<Opened> {
    let text = fs::read_to_string(run.dir.join(file)).ok()?;
    let row = text.lines().nth(line.checked_sub(1)?)?;
    let value: serde_json::Value = serde_json::from_str(row).ok()?;
    Some(Opened::new(at, &serde_json::to_string_pretty(&value).ok()?))
}

/// A whole file that is small enough to be read here; rows files and folders are only named.
fn file(run: &Run, at: &str) -> Option<Opened> {
    let path = run.dir.join(at);
    let inside = !at.ends_with('/') && at.contains("/tree/") && path.is_file();
    let text = inside.then(|| fs::read(path).ok()).flatten()?;
    Some(Opened::new(at, &String::from_utf8_lossy(&text)))
}
