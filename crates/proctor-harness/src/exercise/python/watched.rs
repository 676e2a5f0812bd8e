//! Watching the interpreter's environment while deliverables run.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use proctor_judge::evidence::{RuntimeChange, RuntimeRecord};

use super::manifest::{Manifest, stamp_of};
use crate::halt::Halt;
use crate::untrusted::apart;

/// The environment of an interpreter as it was when it was provided, and what was changed since.
#[derive(Debug, Default)]
pub struct Watched {
    environment: Option<(PathBuf, Arc<Manifest>)>,
    /// The program that runs in the end, all links followed, with its stamp.
    program: Option<(PathBuf, String)>,
    made_again: Option<String>,
    changes: Mutex<Vec<RuntimeChange>>,
}

impl Watched {
    pub(super) fn begin(environment: Option<(PathBuf, Manifest)>, program: &Path) -> Self {
        let environment = environment.map(|(place, manifest)| (place, Arc::new(manifest)));
        Self { environment, program: stamp_of(program), made_again: None, changes: Mutex::default() }
    }

    /// The same, of an environment that had to be made again for this reason.
    pub(super) fn made_again(mut self, why: String) -> Self {
        self.made_again = Some(why);
        self
    }

    /// Compares once more and remembers what is different for the first time, with what ran meanwhile.
    ///
    /// # Errors
    /// When looking breaks off.
    pub async fn look(&self, during: String) -> Result<(), Halt> {
        let environment = self.environment.clone();
        let mut found =
            apart(move || environment.map(|(place, manifest)| manifest.compare(&place).changes).unwrap_or_default()).await?;
        if let Some((program, before)) = &self.program
            && stamp_of(program).as_ref().map(|(_, now)| now) != Some(before)
        {
            found.push("the interpreter itself was changed".into());
        }
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        for what in found {
            if !changes.iter().any(|change| change.what == what) {
                changes.push(RuntimeChange { what, during: during.clone() });
            }
        }
        Ok(())
    }

    /// What is known so far.
    pub fn record(&self, version: &str) -> RuntimeRecord {
        let manifest = self.environment.as_ref().map(|(_, manifest)| manifest);
        RuntimeRecord {
            python: version.to_owned(),
            files: manifest.map_or(0, |manifest| manifest.len() as u64),
            sha256: manifest.map(|manifest| manifest.sha256()),
            made_again: self.made_again.clone(),
            changes: self.changes.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
