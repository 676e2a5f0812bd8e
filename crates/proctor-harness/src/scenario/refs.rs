//! What the parts of a scenario say of each other: files, rigs, exercises, steps, ids, faults.
//!
//! Positions come from the text of the key's value, which is unique enough where it matters (names and ids are quoted strings).

use std::collections::{BTreeMap, BTreeSet};

use proctor_judge::plan::{Check, CheckKind};

use super::files::Files;
use super::problem::Problem;
use super::shape::UNREAD;
use super::spec::{
    ATTACK_CLASSES, CaseSpec, CaseTown, Exercise, Fault, FaultKind, PYTHON, REPO, RigsBy, SCENARIO_SCHEMA, Spec, Step,
};
use super::{SCENARIO_FILE, SELFTEST};
use crate::launch::ROLES;

struct Refs<'a> {
    file: String,
    text: &'a str,
    problems: &'a mut Vec<Problem>,
}

impl Refs<'_> {
    /// A problem placed at the `nth` line (from 0) that gives `key` the text `value`.
    fn at(&mut self, key: &str, value: &str, nth: usize, message: String) -> &mut Problem {
        let span = place(self.text, key, value, nth);
        let problem = match span {
            Some(span) => Problem::at(&self.file, self.text, span, message),
            None => Problem::of_file(&self.file, message),
        };
        self.problems.push(problem);
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    fn known<'k>(&mut self, what: &str, key: &str, value: &str, known: impl IntoIterator<Item = &'k str>) {
        let known: Vec<&str> = known.into_iter().collect();
        // A name that could not be read may be the one that is meant.
        if known.contains(&value) || known.contains(&UNREAD) {
            return;
        }
        let nearest = super::problem::nearest(value, known.iter().copied());
        let problem = self.at(key, value, 0, format!("there is no {what} `{value}`"));
        problem.nearest = nearest;
        if problem.nearest.is_none() && !known.is_empty() {
            problem.hint = Some(format!("known: {}", known.join(", ")));
        }
    }

    fn unique<'n>(&mut self, what: &str, key: &str, names: impl Iterator<Item = &'n str>) {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for name in names {
            let count = seen.entry(name).or_default();
            *count += 1;
            if *count == 2 {
                self.at(key, name, 1, format!("the {what} `{name}` is there twice"));
            }
        }
    }
}

/// Where `key = … "value"` stands: the span of the quoted value.
fn place(text: &str, key: &str, value: &str, nth: usize) -> Option<std::ops::Range<usize>> {
    let quoted = [format!("\"{value}\""), format!("'{value}'")];
    let mut found = 0;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let keyed = line.trim_start().trim_start_matches("{ ").starts_with(key) || line.contains(&format!("{key} ="));
        let column = quoted.iter().find_map(|q| line.find(q.as_str()).map(|at| (at, q.len())));
        if let (true, Some((column, length))) = (keyed, column) {
            if found == nth {
                return Some(offset + column..offset + column + length);
            }
            found += 1;
        }
        offset += line.len();
    }
    None
}

/// Checks what the scenario's parts say of each other and of its files.
pub(super) fn check(spec: &Spec, files: &Files, problems: &mut Vec<Problem>) {
    let text = files.text(SCENARIO_FILE).unwrap_or_default();
    let mut refs = Refs { file: SCENARIO_FILE.into(), text, problems };
    check_head(spec, &mut refs);
    check_files(spec, files, &mut refs);
    refs.unique("rig", "name", spec.rig.iter().map(|rig| rig.name.as_str()));
    refs.unique("exercise", "name", spec.exercise.iter().map(|e| e.name.as_str()));
    refs.unique("check", "id", spec.check.iter().map(|c| c.id.as_str()));
    check_faults(&spec.fault, spec, &mut refs);
    check_agents(spec, files, &mut refs);
    check_rigs(spec, files, &mut refs);
    check_runtime(spec, &mut refs);
    for (index, exercise) in spec.exercise.iter().enumerate() {
        check_exercise(exercise, &spec.exercise[..index], spec, files, &mut refs);
    }
    for check in &spec.check {
        check_check(check, spec, &mut refs);
    }
    // What is said of a name that could not be read says nothing more.
    problems.retain(|problem| !problem.message.contains(UNREAD));
}

/// Whom the scripts are for: a script for a rig or role that does not exist is never played.
pub(super) fn check_scripts(spec: &Spec, files: &Files, problems: &mut Vec<Problem>) {
    for (path, _) in files.below(&spec.script).filter(|(path, _)| path.ends_with(".toml") && !path.contains('/')) {
        let file = format!("{}/{path}", spec.script);
        let text = files.text(&file).unwrap_or_default();
        // What is wrong with the script itself is said by whoever plays it.
        let Ok(script) = text.parse::<toml::Table>() else { continue };
        let mut refs = Refs { file, text, problems };
        let named = |key: &str| script.get(key).and_then(toml::Value::as_str);
        if let Some(rig) = named("rig") {
            refs.known("rig", "rig", rig, spec.rig.iter().map(|rig| rig.name.as_str()));
        }
        if let Some(role) = named("role") {
            refs.known("role", "role", role, ROLES);
        }
    }
}

fn check_agents(spec: &Spec, files: &Files, refs: &mut Refs<'_>) {
    for (role, agent) in &spec.agents {
        check_role(role, role, spec, refs);
        match crate::launch::split_command(&agent.command) {
            Err(error) => _ = refs.at("command", &agent.command, 0, error.to_string()),
            Ok(words) if words.is_empty() => _ = refs.at("command", &agent.command, 0, format!("`{role}` has no command")),
            Ok(_) => {}
        }
        let Some(program) = super::own_program(&agent.command).filter(|program| files.get(program).is_none()) else { continue };
        let nearest = super::problem::nearest(&program, files.iter().map(|(path, _)| path));
        let message = format!("the program `{program}`, which plays `{role}`, is missing in the scenario's folder");
        refs.at("command", &agent.command, 0, message).nearest = nearest;
    }
}

fn check_rigs(spec: &Spec, files: &Files, refs: &mut Refs<'_>) {
    refs.unique("prefix", "prefix", spec.rig.iter().filter_map(|rig| rig.prefix.as_deref()));
    for (rig, folder) in spec.rig.iter().filter_map(|rig| Some((rig, rig.files.as_deref()?))) {
        if files.below(folder.trim_end_matches('/')).next().is_none() {
            let folders = files.iter().filter_map(|(path, _)| path.rsplit_once('/')).map(|(folder, _)| folder);
            let nearest = super::problem::nearest(folder, folders);
            refs.at("files", folder, 0, format!("the folder `{folder}`, for `{}`, holds no file", rig.name)).nearest = nearest;
        }
        if spec.rigs == RigsBy::ByMayor {
            let message = format!("`files` of `{}` are never used: the mayor makes the rigs", rig.name);
            refs.at("files", folder, 0, message).hint = Some("write `rigs = \"prepared\"` at the top".into());
        }
    }
}

fn check_runtime(spec: &Spec, refs: &mut Refs<'_>) {
    let programs = || spec.runtime.iter().flat_map(|runtime| runtime.programs.iter().map(String::as_str));
    refs.unique("program", "programs", programs());
    for program in programs().filter(|program| program.is_empty() || program.contains(['/', ' '])) {
        refs.at("programs", program, 0, format!("`{program}` is no name of a program")).hint =
            Some("write a name that is looked for on PATH, such as `node`".into());
    }
}

fn check_head(spec: &Spec, refs: &mut Refs<'_>) {
    if spec.schema != SCENARIO_SCHEMA {
        let message = format!("schema {} is not known; this proctor reads schema {SCENARIO_SCHEMA}", spec.schema);
        let at = refs.text.find("schema").map(|at| at..at + "schema".len());
        refs.problems.push(
            at.map_or_else(
                || Problem::of_file(SCENARIO_FILE, &message),
                |at| Problem::at(SCENARIO_FILE, refs.text, at, &message),
            ),
        );
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if spec.name.is_empty() || !spec.name.chars().all(plain) {
        refs.at("name", &spec.name, 0, format!("the name `{}` must be lower-case letters, digits and dashes", spec.name));
    }
    for rig in spec.rig.iter().filter(|rig| rig.name.is_empty() || !rig.name.chars().all(|c| plain(c) && c != '-' || c == '_')) {
        refs.at("name", &rig.name, 0, format!("the rig `{}` must be lower-case letters, digits and underscores", rig.name));
    }
    if spec.rig.is_empty() {
        refs.problems.push(Problem::of_file(SCENARIO_FILE, "there is no rig").hint("add a `[[rig]]` with a `name`"));
    }
    if spec.landed.clauses.is_empty() {
        refs.problems.push(Problem::of_file(SCENARIO_FILE, "`landed.clauses` is empty: nothing could ever land"));
    }
}

fn check_files(spec: &Spec, files: &Files, refs: &mut Refs<'_>) {
    match files.get(&spec.prompt) {
        None => _ = refs.at("prompt", &spec.prompt, 0, format!("the prompt file `{}` is missing", spec.prompt)),
        Some(_) if files.text(&spec.prompt).is_none_or(|text| text.trim().is_empty()) => {
            refs.problems.push(Problem::of_file(&spec.prompt, "the prompt is empty or not UTF-8"));
        }
        Some(_) => {}
    }
    let scripted = files.below(&spec.script).any(|(path, _)| path.ends_with(".toml") && !path.contains('/'));
    let needs_script = ["mayor", "polecat"].iter().any(|role| spec.agents.get(*role).is_none_or(|a| a.command == "builtin"));
    if needs_script && !scripted {
        refs.at("script", &spec.script, 0, format!("the script folder `{}` holds no script (`*.toml`)", spec.script));
    }
}

/// The programs that a fault of a kind can hit, of any town.
fn hit_by(kind: FaultKind) -> &'static [&'static str] {
    match kind {
        FaultKind::Kill | FaultKind::Freeze => &["dolt", "tmux", "daemon"],
        _ => &["gt", "bd", "agent-launch", "proctor-agent", "dolt", "tmux"],
    }
}

fn check_role(written: &str, role: &str, spec: &Spec, refs: &mut Refs<'_>) {
    let (name, rig) = role.split_once(':').map_or((role, None), |(name, rig)| (name, Some(rig)));
    if !ROLES.contains(&name) {
        let problem = refs.at("agent", written, 0, format!("`{written}` names no role"));
        problem.nearest = super::problem::nearest(name, ROLES);
        problem.hint = Some(format!("a role is one of {}; a rig may follow: `polecat:RIG`", ROLES.join(", ")));
    } else if let Some(rig) = rig.filter(|rig| !spec.rig.iter().any(|known| known.name == *rig || known.name == UNREAD)) {
        let nearest = super::problem::nearest(rig, spec.rig.iter().map(|r| r.name.as_str()));
        refs.at("agent", written, 0, format!("there is no rig `{rig}`")).nearest = nearest.map(|rig| format!("{name}:{rig}"));
    }
}

fn check_faults(faults: &[Fault], spec: &Spec, refs: &mut Refs<'_>) {
    refs.unique("fault", "name", faults.iter().map(|f| f.name.as_str()));
    for fault in faults {
        if fault.agent != "*" {
            check_role(&fault.agent, &fault.agent, spec, refs);
        }
        if let Some(program) = &fault.program {
            refs.known("program that this fault can hit", "program", program, hit_by(fault.kind).iter().copied());
        }
        for misfit in fault.misfits() {
            refs.at("name", &fault.name, 0, misfit);
        }
    }
}

fn check_exercise(exercise: &Exercise, before: &[Exercise], spec: &Spec, files: &Files, refs: &mut Refs<'_>) {
    if let Some(after) = &exercise.after {
        refs.known("exercise listed before", "after", after, before.iter().map(|e| e.name.as_str()));
    }
    for (folder, from) in &exercise.bring {
        refs.known("exercise listed before", "bring", from, before.iter().map(|e| e.name.as_str()));
        if folder.is_empty() || folder.starts_with('.') || folder.contains('/') {
            refs.at(
                "name",
                &exercise.name,
                0,
                format!("`{folder}`, which `{}` brings files into, must be a plain folder name", exercise.name),
            );
        }
    }
    if exercise.step.is_empty() {
        refs.at("name", &exercise.name, 0, format!("the exercise `{}` has no step", exercise.name));
    }
    let mut steps = BTreeSet::new();
    for step in &exercise.step {
        if !steps.insert(step.name.as_str()) {
            refs.at("name", &step.name, 1, format!("the step `{}` is there twice in `{}`", step.name, exercise.name));
        }
        check_step(step, exercise, spec, files, refs);
    }
    if spec.runtime.is_none() && exercise.step.iter().any(needs_runtime) {
        refs.at("name", &exercise.name, 0, format!("the exercise `{}` needs a `[runtime]`", exercise.name));
    }
}

/// Whether a step runs something that `[runtime]` states.
fn needs_runtime(step: &Step) -> bool {
    step.command.as_ref().is_none_or(|command| command.first().is_some_and(|word| !word.starts_with(REPO)))
}

fn check_step(step: &Step, exercise: &Exercise, spec: &Spec, files: &Files, refs: &mut Refs<'_>) {
    let whole = format!("step `{}` of `{}`", step.name, exercise.name);
    match (&step.checker, &step.subject, &step.command) {
        (Some(command), None, None) => match command.first() {
            None => _ = refs.at("name", &step.name, 0, format!("the checker of {whole} is empty")),
            Some(program) if files.get(&format!("checks/{program}")).is_none() => {
                let known: Vec<&str> = files.below("checks").map(|(path, _)| path).collect();
                let nearest = super::problem::nearest(program, known);
                refs.at("checker", program, 0, format!("`checks/{program}` is missing")).nearest = nearest;
            }
            Some(_) => {}
        },
        (None, Some(command), None) if command.len() < 2 => {
            refs.at("name", &step.name, 0, format!("the subject of {whole} must be a rig and a script"));
        }
        (None, Some(command), None) => refs.known("rig", "subject", &command[0], rigs(spec)),
        (None, None, Some(command)) => check_command(command, step.rig.as_deref(), &whole, spec, refs),
        _ => _ = refs.at("name", &step.name, 0, format!("{whole} must have one of `checker`, `subject` and `command`")),
    }
    if let (Some(rig), None) = (&step.rig, &step.command) {
        refs.at("rig", rig, 0, format!("{whole} has a `rig` and no `command`"));
    }
    let earlier: Vec<&str> = exercise.step.iter().map(|s| s.name.as_str()).take_while(|name| *name != step.name).collect();
    for need in &step.needs {
        refs.known("step before it", "needs", need, earlier.iter().copied());
    }
}

fn rigs(spec: &Spec) -> impl Iterator<Item = &str> {
    spec.rig.iter().map(|rig| rig.name.as_str())
}

fn check_command(command: &[String], rig: Option<&str>, whole: &str, spec: &Spec, refs: &mut Refs<'_>) {
    match rig {
        Some(rig) => refs.known("rig", "rig", rig, rigs(spec)),
        None => {
            let first = command.first().map_or("", String::as_str);
            refs.at("command", first, 0, format!("the command of {whole} has no `rig`: whose deliverable is it?"));
        }
    }
    let Some(first) = command.first() else {
        refs.problems.push(Problem::of_file(&refs.file, format!("the command of {whole} is empty")));
        return;
    };
    if first.strip_prefix(REPO).is_some_and(|rest| rest.starts_with('/')) {
        return;
    }
    let stated = spec.runtime.iter().flat_map(|runtime| runtime.programs.iter().map(String::as_str));
    let known: Vec<&str> = stated.chain(spec.runtime.is_some().then_some(PYTHON)).collect();
    if spec.runtime.is_some() && !known.contains(&first.as_str()) && first != UNREAD {
        let nearest = super::problem::nearest(first, known);
        let problem = refs.at("command", first, 0, format!("the runtime has no program `{first}`"));
        problem.nearest = nearest;
        problem.hint = Some(format!(
            "name it in `programs` of [runtime]; a program that was merged is written `{REPO}/{}`",
            first.trim_start_matches("./")
        ));
    }
}

/// A file that nobody watches is never seen to be opened.
fn check_watched(key: &str, names: &[String], spec: &Spec, refs: &mut Refs<'_>) {
    for name in names {
        if !spec.watch.iter().any(|pattern| crate::exercise::step::matches(pattern, name)) {
            refs.at(key, name, 0, format!("`{name}` is no watched file, so that nobody sees whether it is opened")).hint =
                Some(format!("add it to `watch` at the top: watch = [\"{name}\"]"));
        }
    }
}

fn check_check(check: &Check, spec: &Spec, refs: &mut Refs<'_>) {
    let rigs = || spec.rig.iter().map(|rig| rig.name.as_str());
    match &check.kind {
        CheckKind::File(file) => {
            refs.known("rig", "rig", &file.rig, rigs());
            for pattern in &file.matches {
                check_regex("matches", pattern, refs);
            }
        }
        CheckKind::Mail(mail) => {
            refs.known("rig", "to_holder_of", &mail.to_holder_of, rigs());
            if !mail.from.contains('/') {
                refs.known("role", "from", &mail.from, ROLES);
            }
        }
        CheckKind::Workers(workers) => refs.known("role", "role", &workers.role, ROLES),
        CheckKind::Exercise(about) => {
            refs.known("exercise", "exercise", &about.exercise, spec.exercise.iter().map(|e| e.name.as_str()));
            if let Some(exercise) = spec.exercise.iter().find(|e| e.name == about.exercise) {
                refs.known(
                    &format!("step of `{}`", exercise.name),
                    "step",
                    &about.step,
                    exercise.step.iter().map(|s| s.name.as_str()),
                );
            }
            check_watched("opened", &about.opened, spec, refs);
            check_watched("not_opened", &about.not_opened, spec, refs);
            if let Some(pattern) = &about.output_matches {
                check_regex("output_matches", pattern, refs);
            }
        }
        CheckKind::Promql(query) | CheckKind::Logsql(query) => check_expectation(&query.expect, refs),
        CheckKind::Budget(budget) => {
            refs.known("budget", "of", &budget.of, ["cost_usd", "input_tokens", "output_tokens", "model_calls", "seconds"])
        }
        _ => {}
    }
}

fn check_regex(key: &str, pattern: &str, refs: &mut Refs<'_>) {
    if let Err(error) = regex::Regex::new(pattern) {
        let reason = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        refs.at(key, pattern, 0, format!("`{pattern}` is no regular expression: {reason}"));
    }
}

fn check_expectation(expect: &str, refs: &mut Refs<'_>) {
    let good = expect.trim().split_once(' ').is_some_and(|(operator, number)| {
        ["==", "!=", ">=", "<=", ">", "<"].contains(&operator) && number.trim().parse::<f64>().is_ok()
    });
    if !good {
        refs.at("expect", expect, 0, format!("`{expect}` is no expectation")).hint =
            Some("write a comparison and a number: `== 3`, `>= 1`".into());
    }
}

/// The outcomes that a run can end with.
pub(super) const OUTCOMES: [&str; 8] =
    ["passed", "failed", "not_landed", "unknown", "environment_error", "provider_error", "harness_error", "cancelled"];

/// Checks what the selftest cases say.
pub(super) fn check_cases(spec: &Spec, files: &Files, cases: &BTreeMap<String, CaseSpec>, problems: &mut Vec<Problem>) {
    for (name, case) in cases {
        let file = format!("{SELFTEST}/{name}/case.toml");
        let text = files.text(&file).unwrap_or_default();
        let mut refs = Refs { file, text, problems };
        refs.known("outcome", "outcome", &case.expect.outcome, OUTCOMES);
        if let Some(class) = &case.class {
            refs.known("class", "class", class, ATTACK_CLASSES);
        }
        for (town, own) in &case.town {
            check_case_town(town, own, &mut refs);
        }
        check_faults(&case.fault, spec, &mut refs);
        for role in case.agents.keys() {
            check_role(role, role, spec, &mut refs);
        }
        let (_, refused) = super::change::apply(&super::laid_over(files, name), &case.change);
        for (index, reason) in refused {
            refs.at("find", &case.change[index].find, 0, reason);
        }
    }
}

/// The towns that a case can say something of.
const CASE_TOWNS: [&str; 4] = ["builtin", "gastown", "gastown:queue", "gastown:direct"];

fn check_case_town(town: &str, own: &CaseTown, refs: &mut Refs<'_>) {
    refs.known("town", "town", town, CASE_TOWNS);
    match (&own.expect, &own.not_played) {
        (Some(expect), None) => refs.known("outcome", "outcome", &expect.outcome, OUTCOMES),
        (None, Some(why)) if !why.trim().is_empty() => {}
        _ => {
            let message = format!("`[town.\"{town}\"]` must have either `expect` or `not_played` with the reason");
            refs.problems.push(Problem::of_file(&refs.file, message));
        }
    }
}
