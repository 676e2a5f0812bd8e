//! What a run keeps of its scenario, so that its exercises can be run again without it: the scenario as it was resolved, and the
//! programs of `checks/`. It lies in the evidence, which no agent can read.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use proctor_judge::evidence::path;

use crate::halt::Halt;
use crate::ledger::Ledger;
use crate::scenario::{CHECKS, Files, Scenario};

/// The resolved scenario in the folder.
const SPEC: &str = "scenario.json";

/// Why what a run kept cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// The run was made by a version that kept nothing.
    #[error("this run keeps no exercises: {0} is not there")]
    Nothing(PathBuf),
    /// The disk refuses.
    #[error("{0} cannot be read: {1}")]
    Read(PathBuf, io::Error),
    /// Another version's.
    #[error("{0} is not what this proctor reads: {1}")]
    Form(PathBuf, serde_json::Error),
}

/// Writes what is needed of the scenario below `evidence`.
pub(crate) fn keep(scenario: &Scenario, ledger: &Ledger, evidence: &Path) -> Result<(), Halt> {
    let folder = evidence.join(path::SCENARIO);
    let make = |folder: &Path| fs::create_dir_all(folder).map_err(|error| Halt::io("make", folder, &error));
    make(&folder)?;
    ledger.write_json(&folder.join(SPEC), &scenario.spec)?;
    for (path, bytes) in scenario.files.iter().filter(|(path, _)| is_check(path)) {
        let file = folder.join(path);
        make(file.parent().unwrap_or(&folder))?;
        ledger.write(&file, bytes)?;
    }
    Ok(())
}

fn is_check(path: &str) -> bool {
    path.strip_prefix(CHECKS).is_some_and(|rest| rest.starts_with('/'))
}

/// The scenario of a run as far as its exercises need it: without prompt, scripts and cases.
///
/// # Errors
/// When the run did not keep it, or it cannot be read.
pub fn kept(evidence: &Path) -> Result<Scenario, KeptError> {
    let folder = evidence.join(path::SCENARIO);
    let file = folder.join(SPEC);
    let bytes = fs::read(&file).map_err(|error| match error.kind() {
        ErrorKind::NotFound => KeptError::Nothing(file.clone()),
        _ => KeptError::Read(file.clone(), error),
    })?;
    let spec = serde_json::from_slice(&bytes).map_err(|error| KeptError::Form(file, error))?;
    let files = Files::from_dir(&folder).map_err(|error| KeptError::Read(folder, error))?.only(is_check);
    Ok(Scenario { spec, prompt: String::new(), files, cases: BTreeMap::new(), case: None })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::scenario::{load, template};

    #[test]
    fn what_is_kept_is_what_was_resolved_with_the_checks_and_nothing_that_agents_were_told() {
        let report = tempfile::tempdir().unwrap();
        let check = [("checks/lib/look.py", b"import sys\n".as_slice())];
        let scenario = load(&template("mine").overlay(check.into_iter())).unwrap();
        let evidence = report.path().join("evidence");
        keep(&scenario, &Ledger::new(report.path()), &evidence).unwrap();
        let found = kept(&evidence).unwrap();
        assert_eq!(serde_json::to_value(&found.spec).unwrap(), serde_json::to_value(&scenario.spec).unwrap());
        assert_eq!(found.files.iter().map(|(path, _)| path).collect::<Vec<_>>(), ["checks/lib/look.py"]);
    }

    #[test]
    fn a_run_that_kept_nothing_is_told_from_one_that_cannot_be_read() {
        let evidence = tempfile::tempdir().unwrap();
        assert!(matches!(kept(evidence.path()), Err(KeptError::Nothing(_))));
        fs::create_dir(evidence.path().join("scenario")).unwrap();
        fs::write(evidence.path().join("scenario/scenario.json"), "{").unwrap();
        assert!(matches!(kept(evidence.path()), Err(KeptError::Form(..))));
    }
}
