//! What came of each case, held against what must come of it, and how it is told.

use proctor_harness::scenario::Expect;
use proctor_judge::summary::{Finding, Level, Summary};

use super::{Case, NotPlayed};
use crate::failure::Failure;
use crate::play::Played;
use crate::terminal;
use crate::terminal::phases::duration;
use crate::terminal::table::Table;

/// What came of a case.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) name: String,
    title: String,
    class: Option<String>,
    expect: Expect,
    got: String,
    /// What is not as it must be; empty when all is.
    pub(super) wrong: Vec<String>,
    seconds: f64,
    folder: String,
}

impl Answer {
    /// Of a case that was played, and what else was found wrong when its run had ended.
    pub(super) fn new(case: &Case, played: &Result<Played, Failure>, aftermath: Vec<String>, seconds: f64) -> Self {
        let (got, mut wrong, folder) = compare(&case.expect, played);
        wrong.extend(aftermath);
        Self {
            name: case.name.clone(),
            title: case.title.clone(),
            class: case.attack.as_ref().map(|attack| attack.class.clone()),
            expect: case.expect.clone(),
            got,
            wrong,
            seconds,
            folder,
        }
    }

    pub(super) fn is_right(&self) -> bool {
        self.wrong.is_empty()
    }
}

impl NotPlayed {
    pub(super) fn as_json(&self) -> serde_json::Value {
        serde_json::json!({"case": self.name, "title": self.title, "not_played": self.why})
    }
}

/// What must come of a case, with every finding.
pub(super) fn expected(expect: &Expect) -> String {
    let findings: Vec<&str> = expect.findings().collect();
    if findings.is_empty() { expect.outcome.clone() } else { format!("{} · {}", expect.outcome, findings.join(", ")) }
}

/// As [`expected`], with the first finding only: for a table that must fit into a terminal.
fn brief(expect: &Expect) -> String {
    let mut findings = expect.findings();
    let Some(first) = findings.next() else { return expect.outcome.clone() };
    let more = findings.count();
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{} · {first}{more}", expect.outcome)
}

/// What was got, what of it is wrong, and where it lies.
fn compare(expect: &Expect, played: &Result<Played, Failure>) -> (String, Vec<String>, String) {
    let played = match played {
        Ok(played) => played,
        Err(failure) => return ("no run".to_owned(), vec![failure.message.clone()], String::new()),
    };
    let summary = &played.judgement.summary;
    let folder = terminal::relative(&played.report).display().to_string();
    (summary.outcome.word().to_owned(), mismatch(expect, summary).into_iter().collect(), folder)
}

fn mismatch(expect: &Expect, summary: &Summary) -> Option<String> {
    let got = summary.outcome.word();
    if got != expect.outcome {
        return Some(format!("the outcome is `{got}`: {}", summary.headline));
    }
    let problems = || summary.findings.iter().filter(|finding| finding.level == Level::Problem);
    if let Some(missing) = expect.findings().find(|id| summary.findings.iter().all(|found| found.id != *id)) {
        let ids: Vec<&str> = problems().map(|found| found.id.as_str()).collect();
        return Some(format!("there is no finding `{missing}` (problems: {})", ids.join(", ")));
    }
    let other = problems().find(|found| expect.findings().all(|id| found.id != id));
    match other {
        Some(other) if expect.only => Some(format!("there is another problem: {}", other.id)),
        _ => unnamed(expect, summary),
    }
}

/// Says that nobody was named, where somebody must be.
fn unnamed(expect: &Expect, summary: &Summary) -> Option<String> {
    let who = expect.names.as_deref()?;
    let words = addresses(who, summary);
    let tells = |finding: &Finding| {
        let text = serde_json::to_string(finding).unwrap_or_default();
        words.iter().any(|word| text.contains(word.as_str()))
    };
    let is = |finding: &Finding, id: &str| finding.id.split('#').next() == Some(id);
    let silent = expect.findings().find(|id| !summary.findings.iter().any(|finding| is(finding, id) && tells(finding)));
    let nobody = expect.findings().next().is_none() && !summary.findings.iter().any(tells);
    let what = silent.map(|id| format!("finding `{id}`")).or_else(|| nobody.then(|| "no finding".to_owned()))?;
    let names = if nobody { "names" } else { "does not name" };
    Some(format!("{what} {names} {}", words.join(" or ")))
}

/// What stands for somebody in a finding: the workers of a rig, by both forms of their address, else the text itself.
fn addresses(who: &str, summary: &Summary) -> Vec<String> {
    let agents = summary.agents.iter().map(|agent| agent.agent.to_string());
    let workers = agents.filter(|agent| agent.strip_prefix(who).is_some_and(|rest| rest.starts_with("/polecats/")));
    let found: Vec<String> = workers.flat_map(|agent| [agent.replacen("/polecats/", "/", 1), agent]).collect();
    if found.is_empty() { vec![who.to_owned()] } else { found }
}

/// The line that tells of a case as it ends.
pub(super) fn line(answer: &Answer, width: usize) -> String {
    let mark = if answer.is_right() { ' ' } else { '✗' };
    let text = format!("{mark} {:<width$}  {:<18}  {:>9}  {}\n", answer.name, answer.got, duration(answer.seconds), answer.title);
    if answer.is_right() { text } else { text + &difference(answer) }
}

/// What must come of a case, what came, and where it lies.
fn difference(answer: &Answer) -> String {
    let mut text = format!("    expected  {}\n", expected(&answer.expect));
    for wrong in &answer.wrong {
        text.push_str(&format!("    saw       {wrong}\n"));
    }
    if !answer.folder.is_empty() {
        text.push_str(&format!("    evidence  {}\n", answer.folder));
    }
    text
}

/// The table of all cases, of attacks by their classes too, how many came out as they must, and last those that did not: whoever sees
/// only the end of a log sees them.
pub(super) fn conclusion(answers: &[Answer], not_played: &[NotPlayed]) -> String {
    let mut table = Table::new(&["", "case", "expected", "got", "time"]);
    for answer in answers {
        let mark = if answer.is_right() { "✓" } else { "✗" };
        table.row(vec![
            mark.to_owned(),
            answer.name.clone(),
            brief(&answer.expect),
            answer.got.clone(),
            duration(answer.seconds),
        ]);
    }
    let right = answers.iter().filter(|answer| answer.is_right()).count();
    let mut text = format!("\n{}\n{}{right} of {} as they must be\n", table.render(), by_class(answers), answers.len());
    for not in not_played {
        text.push_str(&format!("not played here: {}: {}\n", not.name, not.why));
    }
    text.push_str(&not_as_they_must(answers));
    text
}

/// The cases that did not come out as they must, each with what was expected and what came; empty when all did.
fn not_as_they_must(answers: &[Answer]) -> String {
    let wrong: Vec<String> = answers
        .iter()
        .filter(|answer| !answer.is_right())
        .map(|answer| format!("✗ {} ({}, {})\n{}", answer.name, answer.got, duration(answer.seconds), difference(answer)))
        .collect();
    if wrong.is_empty() { String::new() } else { format!("\n{} not as they must be:\n{}", wrong.len(), wrong.concat()) }
}

/// How many attacks of each class came to nothing; empty where there are no attacks.
fn by_class(answers: &[Answer]) -> String {
    let mut table = Table::new(&["class", "cases", "as they must be"]);
    let mut classes: Vec<&str> = answers.iter().filter_map(|answer| answer.class.as_deref()).collect();
    classes.sort_unstable();
    classes.dedup();
    for class in &classes {
        let of_class = || answers.iter().filter(|answer| answer.class.as_deref() == Some(class));
        let right = of_class().filter(|answer| answer.is_right()).count();
        table.row(vec![(*class).to_owned(), of_class().count().to_string(), right.to_string()]);
    }
    if classes.is_empty() { String::new() } else { format!("{}\n", table.render()) }
}

/// A case as a row of `--json`.
pub(super) fn as_json(answer: &Answer) -> serde_json::Value {
    serde_json::json!({
        "case": answer.name,
        "title": answer.title,
        "class": answer.class,
        "expected": expected(&answer.expect),
        "got": answer.got,
        "ok": answer.is_right(),
        "wrong": if answer.is_right() { None } else { Some(answer.wrong.join("; ")) },
        "seconds": answer.seconds,
        "folder": answer.folder,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(name: &str, wrong: &[&str]) -> Answer {
        let expect = Expect {
            outcome: "passed".into(),
            finding: Some("requests.refused".into()),
            also: Vec::new(),
            only: false,
            names: None,
        };
        Answer {
            name: name.to_owned(),
            title: "a worker does something".into(),
            class: Some("fence".into()),
            expect,
            got: "failed".into(),
            wrong: wrong.iter().map(|&wrong| wrong.to_owned()).collect(),
            seconds: 1.5,
            folder: format!("reports/{name}"),
        }
    }

    #[test]
    fn what_did_not_come_out_as_it_must_is_the_end_of_what_is_said() {
        let many: Vec<Answer> = (0..100).map(|number| answer(&format!("case{number}"), &[])).collect();
        let all: Vec<Answer> = many.into_iter().chain([answer("disk", &["the outcome is `failed`: x", "a canary"])]).collect();
        let text = conclusion(&all, &[]);
        let end = text.split("1 not as they must be:").last().unwrap_or_default();
        for part in ["✗ disk (failed", "expected  passed · requests.refused", "saw       the outcome is `failed`: x", "a canary"]
        {
            assert!(end.contains(part), "{part} in {end}");
        }
        assert!(end.lines().count() < 10, "{end}");
        let right = conclusion(&all[..100], &[]);
        assert!(right.ends_with("100 of 100 as they must be\n"), "{right}");
    }
}
