//! The judge: reads what a run left on disk and says in one verdict, with evidence, what happened.
//!
//! It runs nothing, opens no socket and reads no clock: a verdict is a pure function of the evidence, so that
//! `proctor judge RUN` gives the same bytes for the same run at any time and on any machine.

pub mod compare;
pub mod convoys;
pub mod evidence;
pub mod lanes;
pub mod outcome;
pub mod picture;
pub mod plan;
pub mod seal;
pub mod summary;
pub mod terminal;

mod agents;
mod assemble;
mod authors;
mod bug_report;
mod checks;
mod completeness;
mod error;
mod fence;
mod findings;
mod intake;
mod landed;
mod markup;
mod next;
mod opened;
mod queries;
mod report;
mod run;
mod screen;
mod sealing;
mod telemetry;
mod trees;
mod verdict;
mod visible;
mod wording;

use std::path::Path;

pub use compare::Comparison;
pub use error::JudgeError;
pub use opened::Opened;
pub use outcome::Outcome;
pub use summary::{Finding, Summary};
pub use telemetry::{Claims, counted_for};
pub use visible::{visible, visible_json, visible_line};

/// What a person may ask of a judgement beyond what the run itself planned.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Checks to judge by in place of those in `plan.json`. One that needs an exercise that was not done is `unknown`.
    pub checks: Option<Vec<plan::Check>>,
    /// The seal as the harness that made the run holds it in memory, so that an edit of the evidence since is noticed whatever else
    /// was edited with it.
    pub seal: Option<seal::Seal>,
    /// The digest of the seal that a person wrote down: 64 hexadecimal digits.
    pub digest: Option<String>,
}

impl Options {
    fn expected(&self) -> seal::Expected<'_> {
        seal::Expected { seal: self.seal.as_ref(), digest: self.digest.as_deref() }
    }
}

/// The verdict over one run, and what the reports show beside it.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// Everything that `summary.json` says.
    pub summary: Summary,
}

/// Judges the run whose folder (the one that holds `evidence/`) is `run_dir`.
///
/// Evidence that is missing or was cut short by the end of the run makes answers `unknown`, never failed. So does evidence that is not
/// what was sealed, and such a run is never passed.
///
/// # Errors
/// When `evidence/run.json` cannot be read, or was written in a format that this version does not know.
pub fn judge(run_dir: &Path, options: &Options) -> Result<Judgement, JudgeError> {
    assemble::summary(run_dir, options).map(|summary| Judgement { summary })
}

/// Writes the reports into `run_dir`: `01-otel-reset.md` to `08-recommendations.md`, `README.md`, `report.html`,
/// `summary.json` and `junit.xml`. Each file is replaced as a whole.
///
/// # Errors
/// When a file cannot be written; those before it are then written already, `summary.json` being the first.
pub fn write_reports(run_dir: &Path, judgement: &Judgement) -> Result<(), JudgeError> {
    report::write(run_dir, &judgement.summary)
}

/// The evidence that `finding` of this judgement points at, opened in place: rows, log lines, output, query results. Nothing is
/// written, and the run may lie anywhere.
///
/// # Errors
/// When `evidence/run.json` cannot be read.
pub fn open(run_dir: &Path, judgement: &Judgement, finding: &Finding) -> Result<Vec<Opened>, JudgeError> {
    let run = run::Run::read(run_dir)?;
    Ok(opened::of_finding(&run, &telemetry::Telemetry::open(&run), &judgement.summary, finding))
}

/// The finding as a bug report in Markdown, half written: what can be known from evidence stands in it.
///
/// # Errors
/// When `evidence/run.json` cannot be read.
pub fn bug_report(run_dir: &Path, judgement: &Judgement, finding: &Finding) -> Result<String, JudgeError> {
    let run = run::Run::read(run_dir)?;
    let opened = opened::of_finding(&run, &telemetry::Telemetry::open(&run), &judgement.summary, finding);
    Ok(visible(&bug_report::render(&run, &judgement.summary, finding, &opened)).into_owned())
}

/// Puts the runs in two folders side by side, each judged by its own plan. Nothing is written.
///
/// # Errors
/// When `evidence/run.json` of one of them cannot be read.
pub fn compare(first: &Path, second: &Path) -> Result<Comparison, JudgeError> {
    let comparison = Comparison::of(&compare::Material::read(first)?, &compare::Material::read(second)?);
    let spelled = visible::every_text(&comparison);
    Ok(spelled.map_err(|source| JudgeError::Encode { name: "the comparison", source })?.unwrap_or(comparison))
}
