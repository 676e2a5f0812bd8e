//! Evidence opened in place: the rows, output, code and query results that a finding points at, cut to a readable size.

use std::collections::BTreeSet;
use std::fs;

use serde::Serialize;

use crate::evidence::{Exchange, RigGit, StepRecord, path};
use crate::run::Run;
use crate::summary::{CheckSummary, Evidence, EvidenceKind, Finding, Summary};
use crate::telemetry::Telemetry;
use crate::visible::{visible, visible_line};
use crate::wording::{after, count, grouped, milliseconds, short_agent, short_sha, without_colours};

/// Characters of one piece that are shown.
const SHOWN: usize = 6000;

/// Lines of a log that are shown before and after the one in question.
const AROUND: usize = 4;

/// Lines of a log or transcript that are shown when no line is named: its end tells most.
const TAIL: usize = 40;

/// Commits that are shown of a branch.
const COMMITS: usize = 20;

/// A piece of evidence as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Opened {
    /// Where it stands, or what it is.
    pub title: String,
    /// Its text, without colours; every other control sequence is spelled.
    pub text: String,
    /// Characters that are not shown.
    pub cut: usize,
}

impl Opened {
    fn new(title: impl Into<String>, text: &str) -> Self {
        let text = without_colours(text);
        let all = text.chars().count();
        let shown: String = text.chars().take(SHOWN).collect();
        Self {
            title: visible_line(&title.into()).into_owned(),
            text: visible(&shown).into_owned(),
            cut: all.saturating_sub(SHOWN),
        }
    }
}

/// What `finding` points at.
pub(crate) fn of_finding(run: &Run, telemetry: &Telemetry, summary: &Summary, finding: &Finding) -> Vec<Opened> {
    let check = summary.checks.iter().find(|c| c.id == finding.id);
    let step = check.and_then(|c| step_of(run, c));
    finding.evidence.iter().flat_map(|e| one(run, telemetry, e, step)).collect()
}

/// The step that an exercise check looks at, from its plan.
fn step_of<'a>(run: &'a Run, check: &CheckSummary) -> Option<&'a str> {
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
            |answer| vec![Opened::new(format!("{} ({})", evidence.at, count(answer.total, "row")), &rows(&answer))],
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
    text += &format!("--- {end}, {}", milliseconds(step.duration_ms));
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

/// One line of a file: an exchange or a repository in words, any other row as indented JSON, a line of a log with its neighbours.
fn row(run: &Run, at: &str, file: &str, line: usize) -> Option<Opened> {
    let bytes = fs::read(run.dir.join(file)).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let index = line.checked_sub(1)?;
    let row = text.lines().nth(index)?;
    let Ok(value) = serde_json::from_str::<serde_json::Value>(row) else {
        return Some(Opened::new(at, &around(&text, index)));
    };
    let words = match file.strip_prefix("evidence/") {
        Some(path::EXCHANGES) => serde_json::from_str(row).ok().map(|e| exchange(run, &e)),
        Some(path::GIT_RIGS) => serde_json::from_str(row).ok().map(|g| repository(&g)),
        _ => None,
    };
    Some(Opened::new(at, &words.or_else(|| serde_json::to_string_pretty(&value).ok())?))
}

/// A line of a log, marked, between those before and after it.
fn around(text: &str, index: usize) -> String {
    let first = index.saturating_sub(AROUND);
    let lines = text.lines().enumerate().skip(first).take(index - first + AROUND + 1);
    lines.map(|(at, line)| format!("{} {line}\n", if at == index { '>' } else { ' ' })).collect()
}

/// What an agent asked and was answered.
fn exchange(run: &Run, exchange: &Exchange) -> String {
    let fault = exchange.fault.as_ref().map_or_else(String::new, |f| format!(", fault {f}"));
    let miss = exchange.miss.as_ref().map_or_else(String::new, |m| format!("\n--- no answer\n{m}"));
    format!(
        "{} by {} {}: HTTP {}{fault}, {}\n--- asked\n{}\n--- answered\n{}{miss}",
        exchange.request,
        short_agent(&exchange.agent),
        after(run.since_start(exchange.at)),
        exchange.status,
        exchange.stop_reason.as_deref().unwrap_or("no stop reason"),
        exchange.asked.trim_end(),
        exchange.answered.trim_end(),
    )
}

/// What a repository holds, as `git log` would say it.
fn repository(git: &RigGit) -> String {
    let head = git.head.as_deref().map_or("no head", short_sha);
    let mut text = format!("{} of {}: {head}, {}\n", git.target, git.rig, count(git.commits.len(), "commit"));
    for commit in git.commits.iter().take(COMMITS) {
        let at = commit.at.format("%H:%M:%S");
        text +=
            &format!("  {} {at} {}: {} ({})\n", short_sha(&commit.sha), commit.author, commit.subject, commit.files.join(", "));
    }
    if git.commits.len() > COMMITS {
        text += &format!("  {} older\n", grouped((git.commits.len() - COMMITS) as u64));
    }
    git.branches.iter().for_each(|(name, head)| text += &format!("branch {name}: {}\n", short_sha(head)));
    git.rewound.iter().for_each(|head| text += &format!("rewound: {}\n", short_sha(head)));
    text
}

/// A whole file that is small enough to be read here, or the end of a log; rows files and folders are only named.
fn file(run: &Run, at: &str) -> Option<Opened> {
    let path = run.dir.join(at);
    let inside = !at.ends_with('/') && path.is_file();
    let log = ["evidence/raw/", "evidence/transcripts/"].iter().any(|folder| at.starts_with(folder)) || at == "run.log";
    if !inside || !(log || at.contains("/tree/")) {
        return None;
    }
    if at.starts_with("evidence/transcripts/") {
        let lines = crate::screen::last_lines(&path, TAIL);
        let title = format!("{at}, the last {} of it", count(lines.len(), "line"));
        return Some(Opened::new(title, &lines.join("\n")));
    }
    let bytes = fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    if !log {
        return Some(Opened::new(at, &text));
    }
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.len().saturating_sub(TAIL);
    let title = if last == 0 { at.to_owned() } else { format!("{at}, its last {TAIL} lines of {}", grouped(lines.len() as u64)) };
    Some(Opened::new(title, &lines[last..].join("\n")))
}
