//! From what is known to one word: which outcome wins, and the sentence that says what happened.
//!
//! The order of precedence is stated in `docs/exit-codes.md`.

use crate::checks::Judged;
use crate::evidence::{Exchange, FaultRow, StopKind};
use crate::outcome::Outcome;
use crate::run::Run;
use crate::summary::{AgentSummary, CheckStatus, ClauseSummary, Finding, Level, Totals};
use crate::wording::{count, duration, round};

/// Everything that the outcome depends on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Signals {
    /// Why the cycle ended early, if it did.
    pub(crate) stopped: Option<StopKind>,
    /// The record ends without an end and without a reason.
    pub(crate) killed: bool,
    /// A request that no rule of a script answered.
    pub(crate) missed: bool,
    /// Some agent's last word from the provider was an error.
    pub(crate) provider_down: bool,
    /// A planned fault never fired: the run did not try what it was made for.
    pub(crate) fault_missing: bool,
    /// Whether the landed clauses hold; absent when some were never seen.
    pub(crate) landed: Option<bool>,
    /// Some check does not hold.
    pub(crate) check_failed: bool,
    /// Some check could not be judged.
    pub(crate) check_unknown: bool,
    /// Something of the town was lost at the end: the run cannot pass.
    pub(crate) lost: bool,
    /// Some evidence is not what was sealed.
    pub(crate) damaged: bool,
    /// The run's record is among it, so that nothing that it says of the run's end counts.
    pub(crate) record_damaged: bool,
}

impl Signals {
    /// The signals of a run with its clauses and checks.
    pub(crate) fn of(run: &Run, landed: &[ClauseSummary], checks: &[Judged]) -> Self {
        let stopped = run.record.stopped.as_ref().map(|s| s.kind);
        let any = |status| checks.iter().any(|c| c.summary.status == status);
        Self {
            stopped,
            killed: stopped.is_none() && run.record.ended_at.is_none(),
            missed: run.script_failed(),
            provider_down: !silent_agents(&run.exchanges.rows).is_empty(),
            fault_missing: unfired(run).is_some(),
            landed: landed_together(landed, stopped),
            check_failed: any(CheckStatus::Failed),
            check_unknown: any(CheckStatus::Unknown) || run.plan.is_none(),
            lost: !run.record.losses.is_empty(),
            damaged: run.seal.is_damaged(),
            record_damaged: run.is_record_damaged(),
        }
    }

    /// The outcome: the first of the list in `docs/exit-codes.md` that is true.
    pub(crate) fn outcome(&self) -> Outcome {
        if self.record_damaged {
            return Outcome::Unknown;
        }
        match self.stopped {
            Some(StopKind::Cancelled) => return Outcome::Cancelled,
            Some(StopKind::Environment) => return Outcome::EnvironmentError,
            Some(StopKind::Harness) => return Outcome::HarnessError,
            Some(StopKind::Provider) => return Outcome::ProviderError,
            Some(StopKind::Timeout | StopKind::Lost) | None => {}
        }
        let own = self.by_product();
        match own {
            Outcome::Passed => own,
            // Without the damage it might have passed, and then nobody was to blame.
            Outcome::Unknown if self.damaged => own,
            _ if self.missed => Outcome::HarnessError,
            _ if self.provider_down => Outcome::ProviderError,
            _ => own,
        }
    }

    /// What the outcome would be if script and provider were not to blame.
    fn by_product(&self) -> Outcome {
        match self.landed {
            _ if self.killed || self.fault_missing => Outcome::Unknown,
            _ if self.stopped == Some(StopKind::Lost) => {
                if self.check_failed {
                    Outcome::Failed
                } else {
                    Outcome::Unknown
                }
            }
            Some(false) => Outcome::NotLanded,
            _ if self.check_failed => Outcome::Failed,
            None => Outcome::Unknown,
            Some(true) if self.check_unknown || self.lost || self.damaged => Outcome::Unknown,
            Some(true) => Outcome::Passed,
        }
    }
}

/// The first planned fault that never fired.
fn unfired(run: &Run) -> Option<&FaultRow> {
    run.faults.rows.iter().find(|fault| fault.fired_at.is_none())
}

/// Whether the clauses hold together; the deadline having passed means that they did not in time.
fn landed_together(clauses: &[ClauseSummary], stopped: Option<StopKind>) -> Option<bool> {
    if stopped == Some(StopKind::Timeout) || clauses.iter().any(|c| c.value == Some(false)) {
        return Some(false);
    }
    (!clauses.is_empty() && clauses.iter().all(|c| c.value == Some(true))).then_some(true)
}

/// For each agent whose last word from the provider was an error, that last exchange. A request that no script answered is no
/// error of the provider.
pub(crate) fn silent_agents(exchanges: &[Exchange]) -> Vec<&Exchange> {
    let calls: Vec<&Exchange> = exchanges.iter().filter(|e| crate::agents::model_call(e)).collect();
    calls
        .iter()
        .enumerate()
        .filter(|(at, e)| failed(e) && !calls[at + 1..].iter().any(|later| later.agent == e.agent))
        .map(|(_, e)| *e)
        .collect()
}

/// Whether the provider refused: overloaded, out of credit, down. A malformed request is the agent's own.
pub(crate) fn failed(exchange: &Exchange) -> bool {
    exchange.miss.is_none() && (exchange.status >= 500 || matches!(exchange.status, 401 | 402 | 403 | 429))
}

/// Sums over agents; counts of records, checks and findings are filled in by the caller.
pub(crate) fn totals(agents: &[AgentSummary]) -> Totals {
    let mut totals = Totals::default();
    for agent in agents {
        totals.model_calls += agent.model_calls;
        totals.input_tokens += agent.input_tokens;
        totals.output_tokens += agent.output_tokens;
        totals.cache_read_tokens += agent.cache_read_tokens;
        totals.cache_creation_tokens += agent.cache_creation_tokens;
        totals.cost_usd += agent.cost_usd;
    }
    totals.cost_usd = round(totals.cost_usd);
    totals
}

/// What happened, in one sentence.
pub(crate) fn headline(run: &Run, outcome: Outcome, landed: &[ClauseSummary], checks: &[Judged], findings: &[Finding]) -> String {
    let number = |status| checks.iter().filter(|c| c.summary.status == status).count();
    let (failed, unknown, all) = (number(CheckStatus::Failed), number(CheckStatus::Unknown), checks.len());
    let first = findings.iter().find(|f| f.level == Level::Problem).map(|f| f.title.clone());
    match outcome {
        Outcome::Passed => format!("{}, and {} {}.", landing(run, landed), holding(all), if all == 1 { "holds" } else { "hold" }),
        Outcome::Failed => {
            let which = first.map_or_else(String::new, |title| format!(": {title}"));
            format!(
                "{}, and {failed} of {} {} not hold{}{}",
                landing(run, landed),
                count(all, "check"),
                if failed == 1 { "does" } else { "do" },
                denied(&which, failed),
                unjudged(unknown)
            )
        }
        Outcome::NotLanded => {
            let what = unlanded(run);
            first.map_or_else(|| format!("{what} did not land."), |title| format!("{what} did not land: {title}."))
        }
        Outcome::Unknown if run.seal.is_damaged() => crate::sealing::headline(run).unwrap_or_else(|| reason(run, first)),
        Outcome::Unknown if unfired(run).is_some() => {
            let name = unfired(run).map(|fault| fault.name.as_str()).unwrap_or_default();
            format!("The planned fault `{name}` never fired, so that this run does not show what it was made to show.")
        }
        Outcome::Unknown if run.record.stopped.is_some() => reason(run, first),
        Outcome::Unknown if unknown > 0 && run.record.ended_at.is_some() => {
            format!("{}, and {unknown} of {} could not be judged.", landing(run, landed), count(all, "check"))
        }
        _ => reason(run, first),
    }
}

/// The titles of checks say what should hold, so a list of those that do not is set off as one.
fn denied(which: &str, failed: usize) -> String {
    match (which.is_empty(), failed) {
        (true, _) => ".".into(),
        (false, 1) => format!("{which}."),
        (false, _) => format!(", the first{which}."),
    }
}

/// A second sentence for the checks that could not be judged.
fn unjudged(unknown: usize) -> String {
    match unknown {
        0 => String::new(),
        1 => " One more could not be judged.".into(),
        n => format!(" {n} more could not be judged."),
    }
}

fn holding(checks: usize) -> String {
    match checks {
        0 => "no check".into(),
        1 => "the one check".into(),
        n => format!("all {n} checks"),
    }
}

fn landing(run: &Run, landed: &[ClauseSummary]) -> String {
    let when = landed.iter().filter_map(|c| c.true_after_s).fold(None, |a: Option<f64>, b| Some(a.map_or(b, |a| a.max(b))));
    let issues = run.tracked().len();
    let what = if issues == 0 { "It".to_owned() } else { count(issues, "issue") };
    match (landed.iter().all(|c| c.value == Some(true)) && !landed.is_empty(), when) {
        (true, Some(s)) => format!("{what} landed after {}", duration(s)),
        (true, None) => format!("{what} landed"),
        (false, _) => "It is not known whether it landed".into(),
    }
}

/// `1 of 3 issues`, or `It` when every issue's own work is done or there is none.
fn unlanded(run: &Run) -> String {
    let tracked = run.tracked();
    let closed = |id: &str| run.beads.rows.iter().any(|b| b.id == id && b.status == "closed");
    let merged = |id: &str| run.deliveries.rows.iter().any(|d| d.issue == id && d.merged);
    let open = tracked.iter().filter(|id| !(closed(id) && merged(id))).count();
    match open {
        0 => "It".into(),
        open => format!("{open} of {}", count(tracked.len(), "issue")),
    }
}

fn reason(run: &Run, first: Option<String>) -> String {
    match (&run.record.stopped, first) {
        (Some(stopped), _) => sentence(&stopped.message),
        (None, Some(title)) => sentence(&title),
        (None, None) => "The evidence does not suffice to tell what happened.".into(),
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.trim().trim_end_matches('.').chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    let end = if text.trim_end_matches('.').ends_with('…') { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passing() -> Signals {
        Signals { landed: Some(true), ..Signals::default() }
    }

    #[test]
    fn one_signal_decides() {
        let cases = [
            (passing(), Outcome::Passed),
            (Signals { check_failed: true, ..passing() }, Outcome::Failed),
            (Signals { check_unknown: true, ..passing() }, Outcome::Unknown),
            (Signals { landed: Some(false), ..passing() }, Outcome::NotLanded),
            (Signals { landed: None, ..passing() }, Outcome::Unknown),
            (Signals { killed: true, ..passing() }, Outcome::Unknown),
            (Signals { fault_missing: true, ..passing() }, Outcome::Unknown),
            (Signals { damaged: true, ..passing() }, Outcome::Unknown),
            (Signals { damaged: true, check_failed: true, ..passing() }, Outcome::Failed),
            (Signals { damaged: true, missed: true, ..passing() }, Outcome::Unknown),
            (Signals { record_damaged: true, stopped: Some(StopKind::Environment), ..passing() }, Outcome::Unknown),
            (Signals { fault_missing: true, check_failed: true, ..passing() }, Outcome::Unknown),
            (Signals { stopped: Some(StopKind::Environment), ..passing() }, Outcome::EnvironmentError),
            (Signals { stopped: Some(StopKind::Provider), ..passing() }, Outcome::ProviderError),
            (Signals { stopped: Some(StopKind::Harness), ..passing() }, Outcome::HarnessError),
            (Signals { stopped: Some(StopKind::Cancelled), ..passing() }, Outcome::Cancelled),
            (Signals { lost: true, ..passing() }, Outcome::Unknown),
            (Signals { lost: true, check_failed: true, ..passing() }, Outcome::Failed),
            (Signals { stopped: Some(StopKind::Lost), ..passing() }, Outcome::Unknown),
            (Signals { stopped: Some(StopKind::Lost), landed: Some(false), ..passing() }, Outcome::Unknown),
            (Signals { stopped: Some(StopKind::Lost), check_failed: true, ..passing() }, Outcome::Failed),
        ];
        for (signals, outcome) in cases {
            assert_eq!(signals.outcome(), outcome, "{signals:?}");
        }
    }

    #[test]
    fn blame_goes_to_the_script_or_provider_only_when_the_run_did_not_pass() {
        assert_eq!(Signals { missed: true, ..passing() }.outcome(), Outcome::Passed);
        assert_eq!(Signals { missed: true, check_failed: true, ..passing() }.outcome(), Outcome::HarnessError);
        assert_eq!(Signals { missed: true, landed: Some(false), ..passing() }.outcome(), Outcome::HarnessError);
        assert_eq!(Signals { provider_down: true, ..passing() }.outcome(), Outcome::Passed);
        assert_eq!(Signals { provider_down: true, landed: Some(false), ..passing() }.outcome(), Outcome::ProviderError);
        let both = Signals { missed: true, provider_down: true, landed: Some(false), ..passing() };
        assert_eq!(both.outcome(), Outcome::HarnessError);
    }

    #[test]
    fn among_several_the_first_of_the_documented_order_wins() {
        let everything = Signals {
            stopped: Some(StopKind::Cancelled),
            killed: false,
            missed: true,
            provider_down: true,
            fault_missing: false,
            landed: Some(false),
            check_failed: true,
            check_unknown: true,
            lost: true,
            damaged: true,
            record_damaged: false,
        };
        assert_eq!(everything.outcome(), Outcome::Cancelled);
        let timeout = Signals { stopped: Some(StopKind::Timeout), missed: false, provider_down: false, ..everything };
        assert_eq!(timeout.outcome(), Outcome::NotLanded);
        let untried = Signals { fault_missing: true, ..timeout };
        assert_eq!(untried.outcome(), Outcome::Unknown, "a run that did not try what it was made for shows nothing");
        let failed = Signals { stopped: None, landed: Some(true), ..timeout };
        assert_eq!(failed.outcome(), Outcome::Failed, "failed is known, unknown is not");
    }
}
