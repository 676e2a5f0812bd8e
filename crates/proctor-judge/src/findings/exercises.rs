//! What deliverables left behind or changed while they were run, and what was left out when the town's files were collected: each with
//! whose it is.

use std::collections::BTreeMap;

use super::Known;
use crate::checks::{merged_as, subject_of};
use crate::evidence::{ExerciseRecord, Refusal, SkippedFile, SkippedRow, StepRecord, path};
use crate::next;
use crate::summary::{Finding, Level};
use crate::wording::{at_path, count, quoted, short_agent};

/// How many things are named in one line.
const NAMED: usize = 5;

pub(super) fn all(known: &Known<'_>) -> Vec<Finding> {
    let mut findings = runtime(known);
    findings.extend(skipped(known));
    findings.extend(left_behind(known));
    findings.extend(refused(known));
    findings.extend(known.run.skipped.rows.iter().map(|row| town_file(known, row)));
    findings
}

/// The interpreter's environment was changed: before the run, which then made it again, or during it.
fn runtime(known: &Known<'_>) -> Vec<Finding> {
    let Some(runtime) = &known.run.runtime else { return Vec::new() };
    let mut findings = Vec::new();
    if let Some(change) = runtime.changes.first() {
        let title = format!("the Python environment was changed by {}", change.during);
        let whats = runtime.changes.iter().map(|change| change.what.as_str());
        findings.push(
            Finding::new(Level::Problem, "exercise.runtime_changed", title)
                .expected("an environment that is after the exercises what it was before")
                .saw(format!("{}; what ran in it counts as unknown", first(whats)))
                .at(at_path(format!("evidence/{}", path::RUNTIME)))
                .next(next::repeat(known.run)),
        );
    }
    if let Some(why) = &runtime.made_again {
        findings.push(
            Finding::new(
                Level::Warning,
                "exercise.runtime_made_again",
                "the Python environment in the cache was not as it was made",
            )
            .expected("an environment that nobody changed since Proctor made it")
            .saw(format!("{why}; it was made again before the exercises"))
            .at(at_path(format!("evidence/{}", path::RUNTIME)))
            .next(next::view(known.run)),
        );
    }
    findings
}

/// What one deliverable did in all exercises: each thing once, with the exercises.
struct Deed {
    things: Vec<String>,
    exercises: Vec<String>,
    count: u64,
}

/// Deeds by the script that did them; what a checker did is the scenario's.
type Deeds = BTreeMap<Option<(String, String)>, Deed>;

fn add(deeds: &mut Deeds, owner: Option<(String, String)>, exercise: &str, things: &[String], number: u64) {
    if number == 0 {
        return;
    }
    let deed = deeds.entry(owner).or_insert_with(|| Deed { things: Vec::new(), exercises: Vec::new(), count: 0 });
    deed.count += number;
    deed.things.extend(things.iter().filter(|thing| !deed.things.contains(thing)).cloned().collect::<Vec<_>>());
    if !deed.exercises.iter().any(|known| known == exercise) {
        deed.exercises.push(exercise.to_owned());
    }
}

/// Files that a deliverable made and that were neither listed nor brought to the next exercise.
fn skipped(known: &Known<'_>) -> Vec<Finding> {
    let mut deeds = Deeds::new();
    for (_, record) in known.run.exercises.values() {
        // What one step left is there after the next as well.
        let mut before: Vec<&SkippedFile> = Vec::new();
        let mut counted = 0;
        for (at, step) in record.steps.iter().enumerate() {
            let new: Vec<String> = step.skipped.files.iter().filter(|file| !before.contains(file)).map(odd_file).collect();
            let number = step.skipped.count.saturating_sub(counted);
            add(&mut deeds, owner(record, at), &record.name, &new, number.max(new.len() as u64));
            before.extend(&step.skipped.files);
            counted = counted.max(step.skipped.count);
        }
    }
    let finding = |(owner, deed): (Option<(String, String)>, Deed)| {
        let title = format!("{} left {} behind that cannot be read", named(owner.as_ref()), count_of(deed.count, "file"));
        finding(known, "exercise.skipped", title, owner, &deed)
            .expected("regular files that can be read, within the limits of docs/evidence.md")
            .detail("meaning", "they are not listed in the step's record and are not brought to exercises that come after it")
    };
    deeds.into_iter().map(finding).collect()
}

/// Processes that a deliverable left running.
fn left_behind(known: &Known<'_>) -> Vec<Finding> {
    let mut deeds = Deeds::new();
    for (_, record) in known.run.exercises.values() {
        for (at, step) in record.steps.iter().enumerate() {
            let commands: Vec<String> = step.left_behind.iter().map(|command| quoted(command, 80)).collect();
            add(&mut deeds, owner(record, at), &record.name, &commands, commands.len() as u64);
        }
    }
    let finding = |(owner, deed): (Option<(String, String)>, Deed)| {
        let title = format!("{} left {} running", named(owner.as_ref()), count_of(deed.count, "process"));
        finding(known, "exercise.left_behind", title, owner, &deed)
            .expected("no process of a step after its end")
            .detail("meaning", "each was ended before the next step began")
    };
    deeds.into_iter().map(finding).collect()
}

/// What a deliverable reached for and the fence around its step refused.
fn refused(known: &Known<'_>) -> Vec<Finding> {
    let mut deeds = Deeds::new();
    for (_, record) in known.run.exercises.values() {
        for step in &record.steps {
            let things: Vec<String> = step.refused.iter().map(refused_thing).collect();
            let number = step.refused.iter().map(|refused| refused.count).sum();
            // What a checker may not reach is the scenario's affair, not the deliverable's before it.
            let owner = if step.by == "subject" { subject_of(step) } else { None };
            add(&mut deeds, owner, &record.name, &things, number);
        }
    }
    let finding = |(owner, deed): (Option<(String, String)>, Deed)| {
        let title = format!("{} was refused by the fence {}", named(owner.as_ref()), count_of(deed.count, "time"));
        finding(known, "fence.refused", title, owner, &deed)
            .expected("a program that reaches for its working directory, HOME and TMPDIR, and for nothing else of this machine")
    };
    deeds.into_iter().map(finding).collect()
}

fn refused_thing(refused: &Refusal) -> String {
    let times = if refused.count > 1 { format!(", {} times", refused.count) } else { String::new() };
    format!("{} {}{times}", refused.tried, quoted(&refused.target, 80))
}

fn finding(known: &Known<'_>, id: &str, title: String, owner: Option<(String, String)>, deed: &Deed) -> Finding {
    let finding = Finding::new(Level::Warning, id, title).saw(format!(
        "{}, in {}",
        first(deed.things.iter().map(String::as_str)),
        first(deed.exercises.iter().map(String::as_str))
    ));
    let finding = match owner.and_then(|(rig, _)| merged_as(known.run, &rig)) {
        Some(text) => finding.detail("merged as", text),
        None => finding,
    };
    let folder = deed.exercises.first().and_then(|name| known.run.exercises.get(name)).map(|(folder, _)| folder.clone());
    let again = deed.exercises.first().map(|name| next::exercise(known.run, name));
    let finding = folder.into_iter().fold(finding, |finding, folder| finding.at(at_path(folder)));
    again.into_iter().fold(finding, Finding::next)
}

/// Rig and script of the last deliverable that ran by this step.
fn owner(record: &ExerciseRecord, at: usize) -> Option<(String, String)> {
    record.steps.get(..=at)?.iter().rev().find_map(|step: &StepRecord| subject_of(step))
}

fn named(owner: Option<&(String, String)>) -> String {
    owner.map_or_else(|| "a checker".into(), |(rig, script)| format!("{rig}/{script}"))
}

fn odd_file(file: &SkippedFile) -> String {
    format!("{} ({})", quoted(&file.path, 80), file.why)
}

fn count_of(number: u64, what: &str) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), what)
}

fn first<'a>(things: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = things.collect();
    let shown = all.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown}, and {more} more"),
    }
}

/// Something among the town's own files that was not collected.
fn town_file(known: &Known<'_>, row: &SkippedRow) -> Finding {
    let who = row.agent.as_deref().map_or_else(|| "an agent or the town".into(), short_agent);
    let title = format!("{} of {} not collected", count_of(row.skipped.count, "file"), row.of);
    let files: Vec<String> = row.skipped.files.iter().map(odd_file).collect();
    Finding::new(Level::Warning, "evidence.skipped", title)
        .expected("regular files that can be read, within the limits of docs/evidence.md")
        .saw(format!("{}, made by {who}", first(files.iter().map(String::as_str))))
        .at(at_path(format!("evidence/{}", path::SKIPPED)))
        .next(next::view(known.run))
}
