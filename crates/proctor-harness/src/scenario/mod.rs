//! Scenario folders: reading, every problem at once, selftest cases, the plan that judging needs.

mod change;
mod fault;
pub mod files;
pub mod problem;
mod refs;
mod shape;
pub mod spec;
mod template;

use std::collections::BTreeMap;

use proctor_judge::evidence::SCHEMA_VERSION;
use proctor_judge::plan::{ExerciseName, Plan, TelemetryExpectation};
use schemars::Schema;

pub use files::Files;
pub use problem::Problem;
pub use spec::{
    ATTACK_CLASSES, After, CaseSpec, CaseTown, Change, Exercise, Expect, Fault, FaultKind, Merge, RigsBy, RuntimeKind, Span,
    Spec, Step, Timeouts,
};
pub use template::template;

/// The file that makes a folder a scenario.
pub const SCENARIO_FILE: &str = "scenario.toml";
/// The folder of selftest cases, and the file of each.
pub const SELFTEST: &str = "selftest";
const CASE_FILE: &str = "case.toml";

/// A scenario without problems.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What `scenario.toml` says, with the overlay of a case when this is one.
    pub spec: Spec,
    /// The text that the coordinator is told, placeholders not yet replaced.
    pub prompt: String,
    /// All files.
    pub files: Files,
    /// The selftest cases by name.
    pub cases: BTreeMap<String, CaseSpec>,
    /// The name of the case laid over, when one is.
    pub case: Option<String>,
}

/// Reads a scenario folder.
///
/// # Errors
/// Every problem of every file of the folder, in the order of files and lines.
pub fn load(files: &Files) -> Result<Scenario, Vec<Problem>> {
    let mut problems = Vec::new();
    let spec: Option<Spec> = shape::read(files, SCENARIO_FILE, &mut problems);
    let cases = read_cases(files, &mut problems);
    if let Some(spec) = &spec {
        refs::check(spec, files, &mut problems);
        refs::check_cases(spec, files, &cases, &mut problems);
    }
    problems.sort_by(|a, b| {
        (a.file != SCENARIO_FILE, &a.file, a.line, a.column).cmp(&(b.file != SCENARIO_FILE, &b.file, b.line, b.column))
    });
    match spec {
        Some(spec) if problems.is_empty() => {
            let prompt = files.text(&spec.prompt).unwrap_or_default().to_owned();
            Ok(Scenario { spec, prompt, files: files.clone(), cases, case: None })
        }
        _ => Err(problems),
    }
}

fn case_names(files: &Files) -> Vec<String> {
    let mut names: Vec<String> =
        files.below(SELFTEST).filter_map(|(path, _)| path.split_once('/')).map(|(name, _)| name.to_owned()).collect();
    names.dedup();
    names
}

fn read_cases(files: &Files, problems: &mut Vec<Problem>) -> BTreeMap<String, CaseSpec> {
    let read = |name: String, problems: &mut Vec<Problem>| {
        let spec = shape::read(files, &format!("{SELFTEST}/{name}/{CASE_FILE}"), problems)?;
        Some((name, spec))
    };
    case_names(files).into_iter().filter_map(|name| read(name, problems)).collect()
}

/// The scenario's files with those of a case laid over.
fn laid_over(files: &Files, case: &str) -> Files {
    let folder = format!("{SELFTEST}/{case}");
    files.overlay(files.below(&folder).filter(|(path, _)| *path != CASE_FILE))
}

/// The JSON Schema of `scenario.toml`.
pub fn scenario_schema() -> Schema {
    shape::schema_of::<Spec>()
}

/// The JSON Schema of `case.toml`.
pub fn case_schema() -> Schema {
    shape::schema_of::<CaseSpec>()
}

impl Scenario {
    /// The scenario with one selftest case laid over; `None` when there is no such case. It has no cases of its own.
    ///
    /// # Errors
    /// The problems that the laid-over folder has.
    pub fn with_case(&self, name: &str) -> Option<Result<Self, Vec<Problem>>> {
        let case = self.cases.get(name)?;
        // Changes that cannot be made are problems of the scenario, found when it was loaded.
        let (files, _) = change::apply(&laid_over(&self.files, name), &case.change);
        Some(load(&files.without(SELFTEST)).map(|mut scenario| {
            case.timeouts.lay_over(&mut scenario.spec.timeouts);
            scenario.spec.fault.extend(case.fault.iter().cloned());
            scenario.spec.agents.extend(case.agents.clone());
            scenario.case = Some(name.to_owned());
            scenario
        }))
    }

    /// What judging needs of this scenario.
    pub fn plan(&self) -> Plan {
        let spec = &self.spec;
        let mut telemetry = default_telemetry();
        telemetry.extend(spec.telemetry.clone());
        Plan {
            schema: SCHEMA_VERSION,
            scenario: spec.name.clone(),
            title: spec.title.clone(),
            rigs: spec.rig.iter().map(|rig| rig.name.clone()).collect(),
            convoy: spec.convoy.clone(),
            landing_timeout_s: spec.timeouts.landing.0.as_secs_f64(),
            landed: spec.landed.clauses.clone(),
            exercises: spec.exercise.iter().map(|e| ExerciseName { name: e.name.clone(), title: e.title.clone() }).collect(),
            checks: spec.check.clone(),
            telemetry,
            high_input_tokens: spec.high_input_tokens,
        }
    }
}

/// What each kind of agent program owes unless the scenario says otherwise: `builtin` reports as Claude Code does, `none` owes nothing.
pub fn default_telemetry() -> BTreeMap<String, TelemetryExpectation> {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let builtin = TelemetryExpectation {
        events: owned(&["claude_code.user_prompt", "claude_code.api_request", "claude_code.tool_result"]),
        metrics: owned(&["claude_code.session.count", "claude_code.token.usage", "claude_code.cost.usage"]),
        api_requests_match_gateway: true,
        gateway_stands_in: false,
    };
    BTreeMap::from([("builtin".to_owned(), builtin), ("none".to_owned(), TelemetryExpectation::default())])
}
