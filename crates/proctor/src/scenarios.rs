//! Scenarios by name or path: the shipped ones lie in the binary, others in folders. Reading one shows every problem at once.

use std::collections::BTreeMap;
use std::path::Path;

use include_dir::{Dir, include_dir};
use proctor_gateway::{Scripts, World};
use proctor_harness::scenario::{self, Files, Problem, SCENARIO_FILE, Scenario};
use proctor_judge::plan::Check;

use crate::commands::run::quoted;
use crate::failure::{Failure, file_error};
use crate::places::nearest;
use crate::terminal::problems;

/// Every scenario that ships with this binary.
static SHIPPED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../scenarios");

/// Most problems that are drawn when a command cannot go on; `validate` draws all.
const SHOWN: usize = 3;

/// Names of the shipped scenarios, sorted.
pub(crate) fn shipped_names() -> Vec<&'static str> {
    let mut names: Vec<&str> = SHIPPED.dirs().filter_map(|dir| dir.path().to_str()).collect();
    names.sort_unstable();
    names
}

/// The files of a shipped scenario.
pub(crate) fn shipped(name: &str) -> Option<Files> {
    let folder = SHIPPED.get_dir(name)?;
    let mut map = BTreeMap::new();
    collect(folder, Path::new(name), &mut map);
    Some(Files::new(format!("{name} (shipped)"), map))
}

fn collect(dir: &Dir<'_>, root: &Path, map: &mut BTreeMap<String, Vec<u8>>) {
    for file in dir.files() {
        let path = file.path().strip_prefix(root).unwrap_or(file.path());
        map.insert(path.to_string_lossy().into_owned(), file.contents().to_vec());
    }
    for folder in dir.dirs() {
        collect(folder, root, map);
    }
}

/// The files that a person means by SCENARIO: a shipped name, or the path of a folder.
pub(crate) fn files(named: &str) -> Result<Files, Failure> {
    if let Some(files) = shipped(named) {
        return Ok(files);
    }
    let folder = Path::new(named);
    if folder.join(SCENARIO_FILE).is_file() {
        return Files::from_dir(folder).map_err(|error| file_error("cannot read", folder, &error));
    }
    if folder.is_dir() {
        return Err(Failure::usage(format!("{named} holds no {SCENARIO_FILE}"))
            .hint("a scenario is a folder with that file; `proctor scenarios new DIR` makes one"));
    }
    Err(unknown(named))
}

fn unknown(named: &str) -> Failure {
    let failure = Failure::usage(format!("unknown scenario `{named}`"));
    match nearest(named, shipped_names().into_iter()) {
        Some(name) => failure.hint(format!("did you mean `{name}`? `proctor scenarios` lists all")),
        None => failure.hint("`proctor scenarios` lists those that ship; or give the path of a folder"),
    }
}

/// Reads the scenario; the error shows its first problems with their source.
pub(crate) fn load(named: &str) -> Result<Scenario, Failure> {
    let files = files(named)?;
    read(&files).map_err(|problems| problems_failure(named, &files, &problems))
}

/// The checks of a scenario, for judging a run by them.
pub(crate) fn checks(named: &str) -> Result<Vec<Check>, Failure> {
    Ok(load(named)?.plan().checks)
}

/// Reads a scenario's files, its scripts included.
pub(crate) fn read(files: &Files) -> Result<Scenario, Vec<Problem>> {
    let mut found = match scenario::load(files) {
        Ok(scenario) => {
            let problems = script_problems(files, &scenario.spec.script);
            if problems.is_empty() {
                return Ok(scenario);
            }
            problems
        }
        // Scripts can be read even when the rest is wrong, so that all problems are shown at once.
        Err(mut problems) => {
            problems.extend(script_problems(files, "script"));
            problems
        }
    };
    found.dedup();
    Err(found)
}

/// Problems of the script folder in any world, placed as paths of the scenario's folder.
fn script_problems(files: &Files, folder: &str) -> Vec<Problem> {
    let scripts: BTreeMap<String, Vec<u8>> = files.below(folder).map(|(path, bytes)| (path.to_owned(), bytes.to_vec())).collect();
    let mut found = Vec::new();
    for problem in World::all().into_iter().filter_map(|world| Scripts::from_files(&scripts, world).err()).flatten() {
        if !found.contains(&problem) {
            found.push(problem);
        }
    }
    found
        .into_iter()
        .map(|problem| {
            let path = format!("{folder}/{}", problem.file);
            let text = files.text(&path).unwrap_or_default();
            let mut placed = Problem::at(&path, text, problem.span, problem.message);
            placed.nearest = problem.nearest;
            placed
        })
        .collect()
}

/// The first problems, drawn, and how to see the rest.
pub(crate) fn problems_failure(named: &str, files: &Files, problems: &[Problem]) -> Failure {
    let drawn = problems::draw(files, problems.iter().take(SHOWN));
    let failure = Failure::usage(format!("{named} has {} problems", problems.len())).drawn(drawn);
    match problems.len().saturating_sub(SHOWN) {
        0 => failure,
        1 => failure.hint(format!("1 more problem: proctor validate {}", quoted(named))),
        more => failure.hint(format!("{more} more problems: proctor validate {}", quoted(named))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

    use super::*;

    #[test]
    fn every_shipped_scenario_has_no_problem() {
        let names = shipped_names();
        assert!(names.contains(&"crypto-tales"));
        for name in names {
            let files = shipped(name).unwrap();
            let problems = read(&files).err().unwrap_or_default();
            let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
            assert!(text.is_empty(), "{name}: {text:#?}");
        }
    }

    #[test]
    fn the_template_of_a_new_scenario_has_no_problem() {
        let files = scenario::template("mine");
        assert!(read(&files).is_ok(), "{:?}", read(&files).err());
    }

    #[test]
    fn an_unknown_name_names_the_nearest() {
        let failure = files("crypto-tale").unwrap_err();
        assert!(failure.hint.unwrap().contains("`crypto-tales`"));
    }

    #[test]
    fn script_problems_are_placed_in_the_scenarios_folder() {
        let files = scenario::template("mine");
        let over = [("script/polecat.toml", b"schema = 1\nrole = \"polecat\"\nrigg = 1\n".as_slice())];
        let problems = read(&files.overlay(over.into_iter())).unwrap_err();
        assert!(problems.iter().any(|p| p.file == "script/polecat.toml" && p.line == 3), "{problems:?}");
    }
}
