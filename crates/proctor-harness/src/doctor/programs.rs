//! The programs that a run is made with.

use std::collections::BTreeMap;

use super::{Line, Places, State};
use crate::exercise::python;
use crate::halt::Halt;
use crate::landed::git::Git;
use crate::linux;
use crate::origins::backend_of;
use crate::town::gastown::programs::{self, Row};

const GROUP: &str = "programs";

/// What of a real town's programs the built-in town needs too.
const OF_EVERY_TOWN: &str = "git";

/// One line a program. `real`: whether those of the real town are needed.
pub(super) async fn lines(real: bool, places: Places<'_>) -> Result<Vec<Line>, Halt> {
    let found = programs::find(places.environment, places.home).await?;
    let rows = programs::judge(&found);
    let (shared, own): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.what == OF_EVERY_TOWN);
    let has_git = shared.iter().all(|row| row.ok);
    let mut lines: Vec<Line> = shared.into_iter().map(line).collect();
    if has_git {
        lines.push(http_line(places).await);
    }
    lines.push(python_line(places).await);
    if real {
        lines.extend(programs::named_folder(places.environment).into_iter().chain(own).map(line));
    }
    Ok(lines)
}

fn line(row: Row) -> Line {
    let state = match (row.ok, row.why.is_empty()) {
        (false, _) => State::Missing,
        (true, false) => State::Doubtful,
        (true, true) => State::Good,
    };
    let found = if row.why.is_empty() { row.found } else { format!("{}: {}", row.found, row.why) };
    Line::new(GROUP, row.what, state, found).advice(row.advice)
}

/// Git's HTTP server, by which agents reach the origins: some packages of git leave it out.
async fn http_line(places: Places<'_>) -> Line {
    let line = |state, found: String| Line::new(GROUP, "git http-backend", state, found);
    let path = places.environment.get("PATH").map_or("", String::as_str);
    let git = linux::find_program(OF_EVERY_TOWN, path).unwrap_or_else(|| OF_EVERY_TOWN.into());
    let env = BTreeMap::from([("PATH".to_owned(), path.to_owned())]);
    let found = match Git::new(git, env).exec_path().await {
        Ok(folder) => backend_of(&folder),
        Err(halt) => Err(halt),
    };
    match found {
        Ok(backend) => line(State::Good, format!("is there ({})", backend.display())),
        Err(halt) => line(State::Missing, halt.message).advice(halt.hint.unwrap_or_default()),
    }
}

async fn python_line(places: Places<'_>) -> Line {
    let line = |state, found: String| Line::new(GROUP, "python3", state, found);
    match python::interpreter(places.environment).await {
        Ok(found) if found.venv => line(State::Good, format!("{} with venv ({})", found.version, found.program.display())),
        Ok(found) => line(State::Missing, format!("{} without venv or ensurepip ({})", found.version, found.program.display()))
            .advice("install python3-venv, or name an interpreter that has the packages: proctor run --python PATH"),
        Err(halt) => line(State::Missing, halt.message).advice(halt.hint.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A program that prints a line.
    fn program(at: &std::path::Path, says: &str) {
        fs::write(at, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
        fs::set_permissions(at, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[tokio::test]
    async fn a_git_without_its_http_server_is_told_with_the_package_that_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let core = folder.path().join("git-core");
        fs::create_dir(&core).unwrap();
        program(&folder.path().join("git"), core.to_str().unwrap());
        let environment = BTreeMap::from([("PATH".to_owned(), folder.path().display().to_string())]);
        let places = Places { cache: folder.path(), reports: folder.path(), home: folder.path(), environment: &environment };
        let missing = http_line(places).await;
        assert_eq!(missing.state, State::Missing);
        assert!(missing.found.contains("git-http-backend") && missing.advice.contains("Debian: git"), "{missing:?}");
        program(&core.join("git-http-backend"), "x");
        assert_eq!(http_line(places).await.state, State::Good);
        program(&folder.path().join("git"), "/nowhere");
        assert_eq!(http_line(places).await.state, State::Missing);
    }

    #[test]
    fn a_row_that_holds_with_a_reason_is_worth_knowing() {
        let row = |ok, why: &str| Row { what: "bd".into(), found: "1.0.5".into(), ok, why: why.into(), advice: "do it".into() };
        assert_eq!(line(row(true, "")).state, State::Good);
        assert_eq!(line(row(true, "untried")).state, State::Doubtful);
        let missing = line(row(false, "too new"));
        assert_eq!((missing.state, missing.found.as_str(), missing.advice.as_str()), (State::Missing, "1.0.5: too new", "do it"));
    }
}
