//! Scenario folders: reading, every problem at once, selftest cases, the plan that judging needs.

mod change;
mod exercises;
mod fault;
pub mod files;
mod limits;
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
    ATTACK_CLASSES, After, CaseSpec, CaseTown, Change, Exercise, Expect, Fault, FaultKind, Merge, Origins, RigsBy, RuntimeKind,
    Span, Spec, Step, Timeouts,
};
pub use template::template;

/// The file that makes a folder a scenario.
pub const SCENARIO_FILE: &str = "scenario.toml";
/// The folder of selftest cases, and the file of each.
pub const SELFTEST: &str = "selftest";
/// The folder of the programs that exercises run.
pub const CHECKS: &str = "checks";
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
    read(files, Whole::Scenario)
}

/// What a folder is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    /// A scenario as it was written.
    Scenario,
    /// One with a selftest case laid over, in which somebody may play in a rig that the scenario does not know.
    Case,
}

fn read(files: &Files, whole: Whole) -> Result<Scenario, Vec<Problem>> {
    let mut problems = Vec::new();
    let spec: Option<Spec> = shape::read(files, SCENARIO_FILE, &mut problems);
    let cases = read_cases(files, &mut problems);
    if let Some(spec) = &spec {
        refs::check(spec, files, &mut problems);
        if whole == Whole::Scenario {
            refs::check_scripts(spec, files, &mut problems);
        }
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
        Some(read(&files.without(SELFTEST), Whole::Case).map(|mut scenario| {
            case.timeouts.lay_over(&mut scenario.spec.timeouts);
            scenario.spec.fault.extend(case.fault.iter().cloned());
            scenario.spec.agents.extend(case.agents.clone());
            scenario.case = Some(name.to_owned());
            scenario
        }))
    }

    /// The files that play needs, which agents may read: the scripts with what lies beside them, and the programs that play roles
    /// with what lies beside those. What the run is judged by is not among them.
    pub fn for_play(&self) -> Files {
        let script = self.spec.script.trim_end_matches('/');
        let programs: Vec<String> = self.spec.agents.values().filter_map(|agent| own_program(&agent.command)).collect();
        let below = |path: &str, folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        let is_withheld = |path: &str| path == SCENARIO_FILE || below(path, CHECKS) || below(path, SELFTEST);
        self.files.only(|path| {
            let beside = |program: &String| program.rsplit_once('/').is_some_and(|(folder, _)| below(path, folder));
            let is_program = programs.iter().any(|program| program == path);
            let is_play = below(path, script) || programs.iter().any(beside);
            is_program || is_play && !is_withheld(path)
        })
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

/// The path in the scenario's folder of the program of a command line; none when it is looked for elsewhere.
fn own_program(command: &str) -> Option<String> {
    let program = crate::launch::split_command(command).ok()?.into_iter().next()?;
    let is_own = program.contains('/') && !program.starts_with('/');
    is_own.then(|| program.split('/').filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>().join("/"))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn agents_get_the_scripts_and_the_programs_of_their_roles_and_nothing_that_judges() {
        let head = "schema = 1\nname = \"t\"\ntitle = \"T\"\nconvoy = \"C\"\n[[rig]]\nname = \"bob\"\n";
        let roles = "[agents.mayor]\ncommand = \"./bots/mayor.py --fast\"\n[agents.polecat]\ncommand = \"./worker.sh\"\n";
        let spec = format!("{head}{roles}");
        let names = ["script/mayor.toml", "script/files/a.md", "bots/mayor.py", "bots/lib/x.py", "worker.sh"];
        let others = ["prompt.md", "checks/check.py", "selftest/a/note.md", "wanted.txt", "README.md"];
        let written = names.iter().chain(&others).map(|name| ((*name).to_owned(), Vec::new()));
        let map: BTreeMap<String, Vec<u8>> = written.chain([(SCENARIO_FILE.to_owned(), spec.into_bytes())]).collect();
        let files = Files::new("t", map);
        let spec = toml::from_str(files.text(SCENARIO_FILE).unwrap()).unwrap();
        let scenario = Scenario { spec, prompt: String::new(), files, cases: BTreeMap::new(), case: None };
        let play = scenario.for_play();
        let mut found: Vec<&str> = play.iter().map(|(path, _)| path).collect();
        found.sort_by_key(|path| names.iter().position(|name| name == path));
        assert_eq!(found, names);
    }
}
