//! What the judge noticed, each with its evidence and the command to type next. The table of ids stands in `docs/report.md`.

mod claims;
mod exercises;
mod faults;
mod fence;
mod followed;
mod gastown;
mod landed;
mod losses;
mod models;
mod notes;
mod origins;
mod requests;
mod telemetry;
mod terminal;
mod town;

pub(crate) use followed::FOLLOWED;
pub(crate) use requests::is_about_tokens;

use crate::checks::{Case, Judged};
use crate::outcome::Outcome;
use crate::run::Run;
use crate::summary::{AgentSummary, CheckStatus, ClauseSummary, Detail, Evidence, Finding, Level};
use crate::telemetry::Telemetry;
use crate::wording::count;

/// Everything findings are drawn from.
pub(crate) struct Known<'a> {
    pub(crate) run: &'a Run,
    pub(crate) telemetry: &'a Telemetry,
    pub(crate) agents: &'a [AgentSummary],
    pub(crate) landed: &'a [ClauseSummary],
    pub(crate) checks: &'a [Judged],
    pub(crate) outcome: Outcome,
}

impl<'a> Known<'a> {
    /// The same material with a case's shape.
    pub(crate) fn new(case: &Case<'a>, landed: &'a [ClauseSummary], checks: &'a [Judged], outcome: Outcome) -> Self {
        Self { run: case.run, telemetry: case.telemetry, agents: case.agents, landed, checks, outcome }
    }
}

/// Label of the fact that says why something happens, as far as it is known.
pub(crate) const CAUSE: &str = "cause";
/// Label of the fact that says which versions are affected.
pub(crate) const VERSIONS: &str = "versions";
/// Label of the fact that says how to avoid it until it is mended.
pub(crate) const WAY_ROUND: &str = "way round";

impl Finding {
    pub(crate) fn new(level: Level, id: impl Into<String>, title: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            level,
            title: title.into(),
            expected: None,
            saw: None,
            details: Vec::new(),
            evidence: Vec::new(),
            next: None,
        }
    }

    pub(crate) fn expected(mut self, text: impl Into<String>) -> Self {
        self.expected = Some(text.into());
        self
    }

    pub(crate) fn saw(mut self, text: impl Into<String>) -> Self {
        self.saw = Some(text.into());
        self
    }

    pub(crate) fn detail(mut self, label: &str, text: impl Into<String>) -> Self {
        self.details.push(Detail { label: label.into(), text: text.into() });
        self
    }

    pub(crate) fn at(mut self, evidence: Evidence) -> Self {
        self.evidence.push(evidence);
        self
    }

    pub(crate) fn next(mut self, command: impl Into<String>) -> Self {
        self.next = Some(command.into());
        self
    }
}

/// All findings, worst first; of equal weight, causes before consequences.
pub(crate) fn all(known: &Known<'_>) -> Vec<Finding> {
    let sealing = crate::sealing::findings(known.run, known.checks);
    let mut findings = models::all(known);
    findings.extend(town::lost(known));
    findings.extend(notes::no_worker(known));
    findings.extend(landed::all(known).into_iter().map(|f| gastown::explain(known, f)));
    findings.extend(gastown::all(known));
    findings.extend(followed::all(known));
    let (first, then): (Vec<&Judged>, Vec<&Judged>) = known.checks.iter().partition(|c| !c.absent);
    findings.extend(first.into_iter().chain(then).filter_map(|c| of_check(known, c)));
    findings.extend(claims::all(known));
    findings.extend(requests::all(known));
    findings.extend(losses::all(known));
    findings.extend(telemetry::all(known));
    findings.extend(exercises::all(known));
    findings.extend(town::all(known));
    // Where the evidence decides the outcome it is the cause, and comes first.
    match known.outcome {
        Outcome::Unknown => _ = findings.splice(0..0, sealing),
        _ => findings.extend(sealing),
    }
    findings.extend(notes::all(known));
    findings.extend(fence::all(known));
    findings.sort_by_key(|f| f.level);
    findings
}

/// Label of the fact that says which checks could not be judged for the same reason.
const DEPENDS: &str = "depends";

fn depend(checks: usize) -> String {
    format!("{} {}", count(checks, "check"), if checks == 1 { "depends" } else { "depend" })
}

/// A check that does not hold. One that merely follows from what ended the run is counted elsewhere, and one that could not be judged is a finding only when the run as a whole could be: otherwise the
/// reason is one finding already, and dozens of others would hide it.
fn of_check(known: &Known<'_>, judged: &Judged) -> Option<Finding> {
    let check = &judged.summary;
    // The file that is damaged is a finding, and names the checks that are unknown for it.
    if followed::follows(known, judged) || check.depends_on.is_some() || judged.unproven.is_some() {
        return None;
    }
    let level = match check.status {
        CheckStatus::Passed => return None,
        CheckStatus::Failed => Level::Problem,
        CheckStatus::Unknown if crate::checks::incomplete(known.run).is_some() => return None,
        CheckStatus::Unknown => Level::Problem,
    };
    let dependents: Vec<&str> = known
        .checks
        .iter()
        .map(|c| &c.summary)
        .filter(|c| c.depends_on.as_ref() == Some(&check.id))
        .map(|c| c.id.as_str())
        .collect();
    let mut details = judged.details.clone();
    if !dependents.is_empty() {
        let text = format!("{} on it and could not be judged: {}", depend(dependents.len()), dependents.join(", "));
        details.push(Detail { label: DEPENDS.into(), text });
    }
    Some(Finding {
        id: check.id.clone(),
        level,
        title: check.title.clone(),
        expected: Some(check.expected.clone()),
        saw: Some(check.saw.clone()),
        details,
        evidence: check.evidence.clone(),
        next: check.next.clone(),
    })
}
