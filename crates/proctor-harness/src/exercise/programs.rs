//! The programs that deliverables need besides what is provided: found on the user's `PATH`, and asked for their version.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::halt::Halt;
use crate::linux;
use crate::process::Program;
use crate::scenario::{Spec, spec::PYTHON};

/// How long a program may take to say its version.
const ASK_LIMIT: Duration = Duration::from_secs(10);
/// Longest version that is kept, in characters.
const LONGEST: usize = 120;

/// A program that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// The first line that it answers to `--version`; empty when it answers nothing.
    pub version: String,
}

/// The programs by the names that the scenario gives them.
pub type Programs = BTreeMap<String, Found>;

/// Looks for the programs that a scenario names. `environment` is the user's.
///
/// # Errors
/// When one is not there.
pub async fn find(spec: &Spec, environment: &BTreeMap<String, String>) -> Result<Programs, Halt> {
    let path = environment.get("PATH").map_or("/usr/local/bin:/usr/bin:/bin", String::as_str);
    let mut programs = Programs::new();
    let named = spec.runtime.iter().flat_map(|runtime| &runtime.programs).filter(|name| *name != PYTHON);
    for name in named {
        let found = linux::find_program(name, path).ok_or_else(|| {
            Halt::environment(format!("the program `{name}`, which the deliverables need, was not found in {path}"))
                .hint("install it, or put its folder into PATH; the scenario names it in `programs` of [runtime]")
        })?;
        let version = version(&found, path).await;
        programs.insert(name.clone(), Found { path: found, version });
    }
    Ok(programs)
}

/// A program that does not know the question says nothing that counts.
async fn version(program: &Path, path: &str) -> String {
    let env = BTreeMap::from([("PATH".to_owned(), path.to_owned()), ("LANG".to_owned(), "C.UTF-8".to_owned())]);
    let mut asked = Program::new(program, &["--version"]).env(&env).timeout(ASK_LIMIT);
    asked.end_group = true;
    let Some(ended) = asked.run().await.ok().filter(crate::process::Ended::ok) else { return String::new() };
    let both = ended.out() + &String::from_utf8_lossy(&ended.stderr);
    both.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::scenario::{load, template};

    fn spec(programs: &str) -> Spec {
        let text = template("mine").text("scenario.toml").unwrap().to_owned() + &format!("[runtime]\nprograms = {programs}\n");
        load(&template("mine").overlay([("scenario.toml", text.as_bytes())].into_iter())).unwrap().spec
    }

    fn program(folder: &Path, name: &str, text: &str) {
        let file = folder.join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[tokio::test]
    async fn programs_are_found_with_their_versions_wherever_they_say_them() {
        let bin = tempfile::tempdir().unwrap();
        program(bin.path(), "tell", "echo; echo 'tell 1.2 (x)'; echo more");
        program(bin.path(), "aside", "echo 'aside 3' >&2");
        program(bin.path(), "mute", "exit 2");
        let environment = BTreeMap::from([("PATH".to_owned(), bin.path().display().to_string())]);
        let found = find(&spec(r#"["tell", "aside", "mute"]"#), &environment).await.unwrap();
        let versions: Vec<&str> = found.values().map(|found| found.version.as_str()).collect();
        assert_eq!(versions, ["aside 3", "", "tell 1.2 (x)"]);
        assert_eq!(found["tell"].path, bin.path().join("tell"));
    }

    #[tokio::test]
    async fn one_that_is_not_there_is_named_with_where_it_was_looked_for() {
        let environment = BTreeMap::from([("PATH".to_owned(), "/nowhere".to_owned())]);
        let halt = find(&spec(r#"["node"]"#), &environment).await.unwrap_err();
        assert!(halt.message.contains("`node`") && halt.message.contains("/nowhere"), "{halt}");
    }
}
