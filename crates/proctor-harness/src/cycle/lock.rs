//! `lock.json`: the SHA-256 and version of everything that a run was made from.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::sums::Known;
use crate::digest::sha256;
use crate::exercise::python::Python;
use crate::scenario::Files;

/// Version of `lock.json`.
const LOCK_SCHEMA: u32 = 1;

/// `lock.json`.
#[derive(Debug, Serialize)]
pub(crate) struct Lock {
    schema: u32,
    scenario: String,
    seed: u64,
    /// Path in the scenario's folder, and hash.
    files: BTreeMap<String, String>,
    /// The programs that took part.
    programs: BTreeMap<String, Input>,
    /// Packages of the runtime, and versions.
    packages: BTreeMap<String, String>,
}

#[derive(Debug, Default, Serialize)]
struct Input {
    path: String,
    version: String,
    sha256: Option<String>,
}

impl Lock {
    /// Hashes the inputs. Reading programs whose sums were not taken yet takes a while: call it off the runtime's threads.
    pub(crate) fn of(
        scenario: &str,
        seed: u64,
        files: &Files,
        programs: &BTreeMap<String, (String, String)>,
        python: Option<&Python>,
        sums: &Known,
    ) -> Self {
        let hashed = |(name, (path, version)): (&String, &(String, String))| {
            let sha256 = sums.of(Path::new(path));
            (name.clone(), Input { path: path.clone(), version: version.clone(), sha256 })
        };
        let mut programs: BTreeMap<String, Input> = programs.iter().map(hashed).collect();
        if let Some(python) = python {
            let path = python.base.display().to_string();
            let sha256 = sums.of(&python.base);
            programs.insert("python".into(), Input { path, version: python.version.clone(), sha256 });
        }
        Self {
            schema: LOCK_SCHEMA,
            scenario: scenario.into(),
            seed,
            files: files.iter().map(|(path, bytes)| (path.to_owned(), sha256(bytes))).collect(),
            programs,
            packages: python.map(|python| python.packages.clone()).unwrap_or_default(),
        }
    }
}
