//! What is said about the seal of a run, in the summary and as findings.

use crate::checks::Judged;
use crate::evidence::path;
use crate::next;
use crate::run::Run;
use crate::seal::{Change, State};
use crate::summary::{Finding, Level, SealStatus, SealSummary};
use crate::wording::{at_path, count, grouped};

/// Id of the findings of files that are not what was sealed.
const CHANGED: &str = "evidence.changed";
/// Id of the finding of a run without a seal.
const NEVER: &str = "evidence.never_sealed";
/// Files that get a finding of their own; of the others the number is told.
const SHOWN: usize = 8;
/// Why a run of an older version has no seal.
const OLDER: &str = "the version of proctor that made this run did not seal evidence";
/// Why a run that was killed has none.
const KILLED: &str = "never sealed: the run was killed";

/// The summary's part.
pub(crate) fn summary(run: &Run) -> SealSummary {
    let seal = &run.seal;
    let (digest, why) = match &seal.state {
        State::Sealed { digest } => (Some(digest.clone()), None),
        State::Broken { why } => (None, Some(why.clone())),
        State::Unsealed => (None, Some(if run.record.seals { KILLED } else { OLDER }.to_owned())),
    };
    let status = match seal.state {
        _ if seal.is_damaged() => SealStatus::Changed,
        State::Unsealed => SealStatus::Never,
        _ => SealStatus::Sealed,
    };
    let changed = seal.changes.len();
    let files = || format!("{} not what proctor wrote", are(changed));
    let why = why.or_else(|| (changed > 0).then(files));
    SealSummary { status, digest, files: seal.files as u64, bytes: seal.bytes, changed: changed as u64, why }
}

/// The digest to write down, or why there is none.
pub(crate) fn in_words(seal: &SealSummary) -> String {
    match (seal.status, &seal.digest, &seal.why) {
        (SealStatus::Sealed, Some(digest), _) => digest.clone(),
        (SealStatus::Changed, _, Some(why)) => format!("the evidence was changed: {why}"),
        (_, _, why) => why.clone().unwrap_or_else(|| "no".into()),
    }
}

fn are(files: usize) -> String {
    format!("{} {}", count(files, "file"), if files == 1 { "is" } else { "are" })
}

/// The findings, first of what was changed, then that nothing was sealed.
pub(crate) fn findings(run: &Run, checks: &[Judged]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let State::Broken { why } = &run.seal.state {
        let finding = changed(run, why.clone()).saw("nothing else of the evidence can be believed on its word");
        findings.push(finding.at(at_path(format!("evidence/{}", path::SEALED))));
    }
    findings.extend(run.seal.changes.iter().take(SHOWN).map(|change| of_file(run, change, checks)));
    let more = run.seal.changes.get(SHOWN..).unwrap_or_default();
    if let (Some(first), Some(last)) = (more.first(), more.last()) {
        let files = if more.len() == 1 { "file is" } else { "files are" };
        let title = format!("{} more {files} not what proctor wrote", grouped(more.len() as u64));
        findings.push(changed(run, title).saw(format!("from {} to {}", first.path, last.path)));
    }
    if run.seal.state == State::Unsealed {
        let title = if run.record.seals { KILLED } else { OLDER };
        let finding = Finding::new(Level::Note, NEVER, title).expected("evidence that was sealed when the run ended");
        findings.push(finding.saw("nothing shows whether it was changed since").next(next::repeat(run)));
    }
    findings
}

fn changed(run: &Run, title: String) -> Finding {
    Finding::new(Level::Problem, CHANGED, title)
        .expected("evidence as proctor wrote it")
        .detail("why it matters", "what it would have shown is unknown, and such a run never passes")
        .next(next::repeat(run))
}

fn of_file(run: &Run, change: &Change, checks: &[Judged]) -> Finding {
    let unknown: Vec<&str> =
        checks.iter().filter(|c| c.unproven.as_deref() == Some(&change.path)).map(|c| c.summary.id.as_str()).collect();
    let finding = changed(run, format!("{} {}", change.path, change.what)).at(at_path(change.path.clone()));
    match unknown.len() {
        0 => finding,
        n => finding.detail(
            "unknown for it",
            format!("{} {}: {}", grouped(n as u64), if n == 1 { "check" } else { "checks" }, unknown.join(", ")),
        ),
    }
}

/// The headline of a run whose evidence is damaged.
pub(crate) fn headline(run: &Run) -> Option<String> {
    match (&run.seal.state, run.seal.changes.as_slice()) {
        (State::Broken { why }, _) => Some(format!("The evidence is not what the run wrote: {why}.")),
        (_, [one]) => Some(format!("The evidence is not what the run wrote: {} {}.", one.path, one.what)),
        (_, [first, rest @ ..]) => Some(format!(
            "The evidence is not what the run wrote: {} {}, and {} more.",
            first.path,
            first.what,
            count(rest.len(), "file")
        )),
        (_, []) => None,
    }
}
