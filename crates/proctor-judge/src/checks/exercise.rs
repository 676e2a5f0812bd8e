//! One step of one exercise: exit code, output, files, and what it opened.

use std::collections::BTreeMap;

use regex::Regex;

use super::depends::NotRun;
use super::{Answer, Case, merged_as};
use crate::evidence::{ExerciseRecord, NOT_STARTED, StepRecord, StopKind};
use crate::next;
use crate::plan::{ExerciseCheck, ExitExpectation};
use crate::summary::CheckStatus;
use crate::wording::{at_path, quoted, without_ansi};

pub(super) fn answer(case: &Case<'_>, check: &ExerciseCheck) -> Answer {
    let next = next::exercise(case.run, &check.exercise);
    let Some((folder, record)) = case.run.exercises.get(&check.exercise) else {
        return Answer::unknown(wording(check), not_recorded(case, check)).next(next::repeat(case.run));
    };
    let place = at_path(folder.clone());
    let Some(index) = record.steps.iter().position(|s| s.name == check.step) else {
        return step_missing(case, check, record).at(place).next(next);
    };
    let step = &record.steps[index];
    if let Some(why) = step.ended.as_deref().filter(|e| step.exit.is_none() && e.starts_with("not run")) {
        let not_run = if why.starts_with(NOT_STARTED) {
            NotRun { own: true, ..not_run(check, None, why) }
        } else {
            not_run(check, record.steps[..index].iter().rev().find(|s| s.exit != Some(0)), why)
        };
        return Answer::unknown(wording(check), format!("the step was {why}")).absent(true).not_run(not_run).at(place).next(next);
    }
    let answer = match Facts::before(record, index).fill_in(check) {
        Ok(filled) => judge(&filled, step),
        Err(name) => fact_missing(check, record, index, &name),
    };
    let answer = runtime_held(case, answer);
    let script = record.steps[..=index].iter().rev().find_map(subject_of);
    let answer = match script.and_then(|(rig, _)| merged_as(case.run, &rig)) {
        Some(text) => answer.detail("merged as", text),
        None => answer,
    };
    answer.detail("command", step.command.join(" ")).at(place).next(next)
}

fn not_recorded(case: &Case<'_>, check: &ExerciseCheck) -> String {
    match &case.run.record.stopped {
        Some(stopped) => format!("the exercise was not done: {}", stopped.message),
        None => format!("the run has no record of the exercise {}", check.exercise),
    }
}

/// The exercise has no such step: it could not begin for want of a deliverable, or did not go on after a step that went wrong.
fn step_missing(case: &Case<'_>, check: &ExerciseCheck, record: &ExerciseRecord) -> Answer {
    let stopped = case.run.record.stopped.as_ref().filter(|s| s.kind != StopKind::Timeout);
    match (&record.not_done, stopped, record.steps.iter().rev().find(|s| s.exit != Some(0))) {
        (Some(why), None, _) => {
            let saw = format!("the exercise was not done: {why}");
            Answer::unknown(wording(check), saw).absent(true).not_run(not_run(check, needed(record, why), why))
        }
        (Some(why), Some(_), _) => Answer::unknown(wording(check), format!("the exercise was not done: {why}")),
        (None, Some(stopped), _) => Answer::unknown(wording(check), stopped.message.clone()),
        (None, None, Some(bad)) => {
            let saw = format!("the step was not run, because step {} did not succeed: {}", bad.name, end(bad));
            let not_run = not_run(check, Some(bad), &saw);
            Answer::unknown(wording(check), saw).detail("output", output(bad)).absent(true).not_run(not_run)
        }
        (None, None, None) => Answer::unknown(wording(check), format!("the exercise has no step {}", check.step)),
    }
}

/// A fact that a check uses was never stated: by a step that went wrong, or by none.
fn fact_missing(check: &ExerciseCheck, record: &ExerciseRecord, index: usize, name: &str) -> Answer {
    match record.steps[..index].iter().rev().find(|s| s.exit != Some(0)) {
        Some(bad) => {
            let saw = format!("step {} did not succeed ({}), so that `{name}` is not known", bad.name, end(bad));
            let not_run = not_run(check, Some(bad), &saw);
            Answer::unknown(wording(check), saw).detail("output", output(bad)).absent(true).not_run(not_run)
        }
        None => Answer::unknown(wording(check), format!("no earlier step stated the fact `{name}`")),
    }
}

/// The step that a reason names as the one that others needed: the last name in it.
fn needed<'a>(record: &'a ExerciseRecord, why: &str) -> Option<&'a StepRecord> {
    let name = why.rsplit('`').nth(1)?;
    record.steps.iter().find(|step| step.name == name)
}

fn not_run(check: &ExerciseCheck, bad: Option<&StepRecord>, why: &str) -> NotRun {
    NotRun {
        exercise: check.exercise.clone(),
        after: bad.map(|step| step.name.clone()),
        command: bad.map(|step| step.command.clone()).unwrap_or_default(),
        why: why.to_owned(),
        own: false,
    }
}

fn end(step: &StepRecord) -> String {
    match (step.exit, &step.ended) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(ended)) => ended.clone(),
        (None, None) => "no exit code".into(),
    }
}

fn output(step: &StepRecord) -> String {
    let stderr = without_ansi(&step.stderr);
    let text = if stderr.trim().is_empty() { without_ansi(&step.stdout) } else { stderr };
    let last: Vec<&str> = text.trim().lines().rev().take(3).collect();
    quoted(&last.into_iter().rev().collect::<Vec<_>>().join("\n"), 300)
}

/// The rig and the file that a step ran, when it ran a deliverable: the first word of its command that names `$REPO/<rig>/…`.
pub(crate) fn subject_of(step: &StepRecord) -> Option<(String, String)> {
    let first = step.command.iter().find_map(|word| word.strip_prefix("$REPO/"));
    let (rig, script) = first.filter(|_| step.by == "subject")?.split_once('/')?;
    Some((rig.to_owned(), script.to_owned()))
}

/// What a step shows counts only when nobody changed the interpreter that ran it.
fn runtime_held(case: &Case<'_>, answer: Answer) -> Answer {
    let change = case.run.runtime.as_ref().and_then(|runtime| runtime.changes.first());
    match change {
        None => answer,
        Some(change) => {
            let saw =
                format!("the Python environment was changed ({}, by {}); it showed: {}", change.what, change.during, answer.saw);
            Answer { status: CheckStatus::Unknown, saw, ..answer }
        }
    }
}

/// The facts that steps stated before the one in question.
struct Facts<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Facts<'a> {
    fn before(record: &'a ExerciseRecord, index: usize) -> Self {
        let steps = &record.steps[..=index];
        Self(steps.iter().flat_map(|s| &s.facts).map(|(k, v)| (k.as_str(), v.as_str())).collect())
    }

    /// The check with every `${name}` replaced, or the first name that nobody stated.
    fn fill_in(&self, check: &ExerciseCheck) -> Result<ExerciseCheck, String> {
        let mut filled = check.clone();
        let raw = |s: &str| s.to_owned();
        for text in [&mut filled.stdout_line, &mut filled.output_contains, &mut filled.output_lacks].into_iter().flatten() {
            *text = self.replace(text, raw)?;
        }
        if let Some(pattern) = &mut filled.output_matches {
            *pattern = self.replace(pattern, regex::escape)?;
        }
        for value in filled.facts.values_mut().chain(&mut filled.files) {
            *value = self.replace(value, raw)?;
        }
        Ok(filled)
    }

    fn replace(&self, text: &str, dress: impl Fn(&str) -> String) -> Result<String, String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, tail)) = after.split_once('}') else { break };
            let value = self.0.get(name).ok_or_else(|| name.to_owned())?;
            out += before;
            out += &dress(value);
            rest = tail;
        }
        Ok(out + rest)
    }
}

/// What is said of a step whose opened files are not all known.
const LOST: &str = "it opened more files, or made more folders, than can be watched";

/// What is expected, as one line.
fn wording(check: &ExerciseCheck) -> String {
    demands(check).into_iter().map(|d| d.text).collect::<Vec<_>>().join(", ")
}

/// One thing that a check demands: how it reads, and how a step is held against it.
struct Demand<'a> {
    text: String,
    hold: Hold<'a>,
}

/// Says what is wrong, if anything is.
type Hold<'a> = Box<dyn Fn(&Seen<'_>) -> Verdict + 'a>;

enum Verdict {
    Holds,
    Broken(String),
    CannotTell(String),
}

/// A step with its streams as a person would read them.
struct Seen<'a> {
    step: &'a StepRecord,
    stdout: String,
    stderr: String,
}

impl Seen<'_> {
    /// Broken only if all of the output is known.
    fn absent(&self, what: String) -> Verdict {
        match self.step.cut {
            0 => Verdict::Broken(what),
            cut => Verdict::CannotTell(format!("{what} in what was kept; {cut} bytes of output were cut")),
        }
    }
}

fn judge(check: &ExerciseCheck, step: &StepRecord) -> Answer {
    let seen = Seen { step, stdout: without_ansi(&step.stdout), stderr: without_ansi(&step.stderr) };
    let (mut broken, mut unclear) = (Vec::new(), Vec::new());
    for demand in demands(check) {
        match (demand.hold)(&seen) {
            Verdict::Holds => {}
            Verdict::Broken(what) => broken.push(what),
            Verdict::CannotTell(why) => unclear.push(why),
        }
    }
    let status = match (broken.is_empty(), unclear.is_empty()) {
        (false, _) => CheckStatus::Failed,
        (true, false) => CheckStatus::Unknown,
        (true, true) => CheckStatus::Passed,
    };
    let mut saw = vec![end(step)];
    saw.extend(broken.into_iter().chain(unclear).filter(|w| !w.is_empty()));
    for (name, text) in [("stdout", &seen.stdout), ("stderr", &seen.stderr)] {
        if !text.trim().is_empty() && status != CheckStatus::Passed {
            saw.push(format!("{name} {}", quoted(text, 200)));
        }
    }
    Answer::new(status, wording(check), saw.join("; "))
}

fn demands(check: &ExerciseCheck) -> Vec<Demand<'_>> {
    let mut demands = output_demands(check);
    demands.extend(check.files.iter().map(|name| Demand {
        text: format!("writes {name}"),
        hold: Box::new(move |seen| {
            let there = seen.step.files.iter().any(|f| f.path == *name && f.size > 0);
            if there { Verdict::Holds } else { Verdict::Broken(format!("{name} is not there or is empty")) }
        }),
    }));
    demands.extend(check.opened.iter().map(|pattern| Demand {
        text: format!("opens {pattern}"),
        hold: Box::new(move |seen| match opened(seen, pattern) {
            Some(_) => Verdict::Holds,
            None if seen.step.opened_lost => Verdict::CannotTell(format!("{LOST}, so that {pattern} may be among them")),
            None => Verdict::Broken(format!("{pattern} was not opened")),
        }),
    }));
    demands.extend(check.not_opened.iter().map(|pattern| Demand {
        text: format!("does not open {pattern}"),
        hold: Box::new(move |seen| match opened(seen, pattern) {
            Some(file) => Verdict::Broken(format!("it opened {file}")),
            // Whoever opens so many has it in hand what is seen.
            None if seen.step.opened_lost => Verdict::Broken(format!("{LOST}, and {pattern} may be among them")),
            None => Verdict::Holds,
        }),
    }));
    demands.extend(check.facts.iter().map(|(name, value)| Demand {
        text: format!("{name} = {value}"),
        hold: Box::new(move |seen| match seen.step.facts.get(name) {
            Some(found) if found == value => Verdict::Holds,
            Some(found) => Verdict::Broken(format!("{name} = {found}")),
            None => Verdict::Broken(format!("{name} was not stated")),
        }),
    }));
    demands
}

fn output_demands(check: &ExerciseCheck) -> Vec<Demand<'_>> {
    let mut demands = Vec::new();
    if let Some(exit) = &check.exit {
        demands.push(exit_demand(exit));
    }
    if let Some(line) = &check.stdout_line {
        demands.push(Demand {
            text: format!("the line {} on standard output", quoted(line, 200)),
            hold: Box::new(move |seen| {
                let there = seen.stdout.lines().any(|l| l.trim() == line.trim());
                if there { Verdict::Holds } else { seen.absent("the expected line is not there".into()) }
            }),
        });
    }
    if let Some(text) = &check.output_contains {
        demands.push(Demand {
            text: format!("{} in the output", quoted(text, 200)),
            hold: Box::new(move |seen| {
                let lower = text.to_lowercase();
                let there = [&seen.stdout, &seen.stderr].iter().any(|s| s.to_lowercase().contains(&lower));
                if there { Verdict::Holds } else { seen.absent(format!("{} is not in the output", quoted(text, 80))) }
            }),
        });
    }
    if let Some(pattern) = &check.output_matches {
        demands.push(matches_demand(pattern));
    }
    if let Some(text) = &check.output_lacks {
        demands.push(lacks_demand(text));
    }
    demands
}

fn exit_demand(exit: &ExitExpectation) -> Demand<'_> {
    let text = match exit {
        ExitExpectation::Code(code) => format!("exit {code}"),
        ExitExpectation::Word(_) => "exit code not 0".into(),
    };
    let holds = |code: Option<i32>| match exit {
        ExitExpectation::Code(wanted) => code == Some(*wanted),
        ExitExpectation::Word(_) => code.is_some_and(|c| c != 0),
    };
    // How it ended is said first of all in what was seen, so nothing needs to be added here.
    let hold = move |seen: &Seen<'_>| if holds(seen.step.exit) { Verdict::Holds } else { Verdict::Broken(String::new()) };
    Demand { text, hold: Box::new(hold) }
}

fn matches_demand(pattern: &str) -> Demand<'_> {
    Demand {
        text: format!("output that matches /{pattern}/"),
        hold: Box::new(move |seen| match Regex::new(pattern) {
            Ok(regex) if regex.is_match(&seen.stdout) || regex.is_match(&seen.stderr) => Verdict::Holds,
            Ok(_) => seen.absent("nothing matches".into()),
            Err(_) => Verdict::CannotTell(format!("/{pattern}/ is no regular expression")),
        }),
    }
}

fn lacks_demand(text: &str) -> Demand<'_> {
    let bare = |s: &str| s.split_whitespace().collect::<String>();
    Demand {
        text: format!("{} on neither stream", quoted(text, 200)),
        hold: Box::new(move |seen| {
            let shows = |s: &str| s.contains(text) || bare(s).contains(&bare(text));
            let place = [("standard output", &seen.stdout), ("standard error", &seen.stderr)]
                .into_iter()
                .find(|(_, stream)| shows(stream));
            match (place, seen.step.cut) {
                (Some((name, _)), _) => Verdict::Broken(format!("the unwanted text is on {name}")),
                (None, 0) => Verdict::Holds,
                (None, cut) => Verdict::CannotTell(format!("{cut} bytes of output were cut")),
            }
        }),
    }
}

fn opened(seen: &Seen<'_>, pattern: &str) -> Option<String> {
    seen.step.opened.iter().find(|file| fits(pattern, file)).cloned()
}

/// Whether a path, or its last part, fits a name pattern in which `*` stands for any text.
fn fits(pattern: &str, file: &str) -> bool {
    let parts: Vec<String> = pattern.split('*').map(regex::escape).collect();
    let Ok(regex) = Regex::new(&format!("(?s)^{}$", parts.join(".*"))) else { return false };
    let name = file.rsplit('/').next().unwrap_or(file);
    regex.is_match(file) || regex.is_match(name)
}
