//! The programs that a real town consists of: where they are, which versions they have, and which go together.
//!
//! [`judge`] is a pure function of what was found, so that what `proctor doctor` says and what ends a run are the same.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::halt::Halt;
use crate::linux;
use crate::process::Program;

/// The variable that names a folder to look in before `PATH`.
pub const BIN: &str = "PROCTOR_GASTOWN_BIN";
/// How long a program may take to say its version.
const SAYING: Duration = Duration::from_secs(20);
/// What keeps `dolt` from asking a server for newer releases and from sending figures.
pub(crate) const DOLT_SILENT: &str =
    r#"{"metrics.disabled":"true","versioncheck.disabled":"true","user.name":"Proctor","user.email":"proctor@localhost"}"#;

/// What a real town needs, and how each says its version.
const PROGRAMS: [(&str, &str); 5] =
    [("gt", "version"), ("bd", "version"), ("dolt", "version"), ("tmux", "-V"), ("git", "--version")];

/// A version of up to three numbers; a suffix does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Version {
    /// The first version in a text: `gt version v1.0.1-39-g0123456`, `tmux 3.3a`.
    pub fn find(text: &str) -> Option<Self> {
        let is_part = |c: char| c.is_ascii_digit() || c == '.';
        let candidates = text.split(|c| !is_part(c)).filter(|word| word.contains('.'));
        candidates.filter_map(Self::parse).next()
    }

    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(str::parse::<u32>);
        let (first, second) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        Some(Self(first, second, numbers.next().and_then(Result::ok).unwrap_or(0)))
    }
}

/// A program that was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// `gt`, `bd`, `dolt`, `tmux`, `git`.
    pub name: String,
    /// Where it is; absent when it is not there.
    pub path: Option<PathBuf>,
    /// What it said of its version, on one line; empty when it said nothing.
    pub said: String,
}

impl Found {
    /// Its version, when it said one.
    pub fn version(&self) -> Option<Version> {
        Version::find(&self.said)
    }
}

/// One thing that a town needs, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What is needed: `bd`, `a port for dolt`.
    pub what: String,
    /// What was found.
    pub found: String,
    /// Whether a town can be made with it.
    pub ok: bool,
    /// Why it will not do, or what is known of it; empty when there is nothing to say.
    pub why: String,
    /// What a person can do about it; empty when there is nothing to do.
    #[serde(rename = "do")]
    pub advice: String,
}

/// Looks for the programs and asks each for its version. `user` is the environment of the user; `home` an empty folder that
/// they get as their home.
///
/// # Errors
/// When `home` cannot be written.
pub async fn find(user: &BTreeMap<String, String>, home: &Path) -> Result<Vec<Found>, Halt> {
    write_silence(home)?;
    let mut found = Vec::new();
    for (name, argument) in PROGRAMS {
        let path = search(user, name);
        let said = match &path {
            Some(path) => ask(path, argument, home).await,
            None => String::new(),
        };
        found.push(Found { name: name.to_owned(), path, said });
    }
    Ok(found)
}

/// How the folder that [`BIN`] names stands, when it is no folder: programs would be taken from elsewhere without a word.
pub fn named_folder(user: &BTreeMap<String, String>) -> Option<Row> {
    let folder = user.get(BIN).filter(|folder| !folder.is_empty())?;
    (!Path::new(folder).is_dir()).then(|| Row {
        what: BIN.into(),
        found: folder.clone(),
        ok: false,
        why: "it is no folder".into(),
        advice: format!("name the folder that holds gt, bd and dolt, or take {BIN} out of the environment"),
    })
}

/// Where a program is: in the folder that [`BIN`] names, else on `PATH`.
pub fn search(user: &BTreeMap<String, String>, name: &str) -> Option<PathBuf> {
    let named = user.get(BIN).filter(|folder| !folder.is_empty());
    let path = user.get("PATH").map_or("/usr/bin:/bin", String::as_str);
    let search = named.map_or_else(|| path.to_owned(), |folder| format!("{folder}:{path}"));
    linux::find_program(name, &search).and_then(|found| found.canonicalize().ok())
}

/// Writes the settings that keep `dolt` from talking to anybody into a home.
pub(crate) fn write_silence(home: &Path) -> Result<(), Halt> {
    let file = home.join(".dolt/config_global.json");
    let written = fs::create_dir_all(home.join(".dolt")).and_then(|()| fs::write(&file, DOLT_SILENT));
    written.map_err(|error| Halt::io("write", &file, &error))
}

/// A program that cannot say its version has none, which [`judge`] tells.
async fn ask(program: &Path, argument: &str, home: &Path) -> String {
    let home = home.display().to_string();
    // Every call of dolt leaves two empty files where temporary ones go.
    let env = [
        ("HOME", home.as_str()),
        ("TMPDIR", home.as_str()),
        ("PATH", "/usr/bin:/bin"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("BD_NON_INTERACTIVE", "1"),
        // Nor may one start a process that outlives it.
        ("DOLT_DISABLE_EVENT_FLUSH", "1"),
    ];
    let env = env.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let asked = Program::new(program, &[argument]).env(&env).cwd(&home).timeout(SAYING).run().await;
    asked.map(|ended| ended.out().lines().next().unwrap_or_default().trim().to_owned()).unwrap_or_default()
}

/// How each program stands, in the order in which they were found.
pub fn judge(found: &[Found]) -> Vec<Row> {
    found.iter().map(judge_one).collect()
}

fn judge_one(found: &Found) -> Row {
    let row = |found: String, ok: bool, why: &str, advice: &str| Row {
        what: String::new(),
        found,
        ok,
        why: why.to_owned(),
        advice: advice.to_owned(),
    };
    let judged = match (&found.path, found.version()) {
        (None, _) => row("not found".into(), false, "a town is made of it", install_advice(&found.name)),
        (Some(path), None) => {
            let said = if found.said.is_empty() { "no version" } else { found.said.as_str() };
            row(format!("{said} ({})", path.display()), false, "it does not say its version", install_advice(&found.name))
        }
        (Some(path), Some(version)) => {
            let (ok, why, advice) = judge_version(&found.name, version);
            row(format!("{} ({})", found.said, path.display()), ok, why, advice)
        }
    };
    Row { what: found.name.clone(), ..judged }
}

fn install_advice(name: &str) -> &'static str {
    match name {
        "gt" => "install gt as its README says, or name its folder: PROCTOR_GASTOWN_BIN=DIR (docs/gastown.md)",
        "bd" => {
            "install bd 0.62.0 (https://github.com/gastownhall/beads/releases/tag/v0.62.0), or name its folder: PROCTOR_GASTOWN_BIN=DIR"
        }
        "dolt" => {
            "install dolt 1.82.4 or later (https://github.com/dolthub/dolt/releases), or name its folder: PROCTOR_GASTOWN_BIN=DIR"
        }
        "tmux" => "install tmux 3.2 or later",
        _ => "install git 2.20 or later",
    }
}

/// Whether a version will do, why not, and what to do.
fn judge_version(name: &str, version: Version) -> (bool, &'static str, &'static str) {
    const GOOD: (bool, &str, &str) = (true, "", "");
    const BD: &str = "install bd 0.62.0 (0.57.0 to 0.62.0 work) in a folder of its own and name it: PROCTOR_GASTOWN_BIN=DIR";
    match name {
        "bd" if version < Version(0, 57, 0) => (false, "gt needs bd 0.57.0 or later", BD),
        "bd" if version >= Version(1, 0, 3) => (
            false,
            "from 1.0.3 on bd refuses `config set issue_prefix`, and gt reads a table that is no more: rigs are unusable",
            BD,
        ),
        "bd" if version >= Version(0, 63, 0) => (
            false,
            "from 0.63.0 on bd finds no issue of another rig: agents' beads are missing and a convoy over rigs never closes",
            BD,
        ),
        "dolt" if version < Version(1, 82, 4) => (false, "gt refuses dolt before 1.82.4", "install a newer dolt"),
        "tmux" if version < Version(3, 2, 0) => {
            (false, "gt starts sessions with an option that tmux has since 3.2", "install a newer tmux")
        }
        "tmux" if version >= Version(3, 7, 0) => (true, "texts typed by gt were reported to get lost with tmux 3.7", ""),
        "git" if version < Version(2, 20, 0) => (false, "gt needs git 2.20 or later", "install a newer git"),
        "gt" if version < Version(1, 0, 0) => (false, "Proctor knows gt from 1.0 on", "install a newer gt"),
        "gt" if version >= Version(1, 1, 0) => (true, "Proctor was tried with gt 1.0.1", ""),
        _ => GOOD,
    }
}

/// Ends a run before anything is made when a program is missing or does not go with the others.
///
/// # Errors
/// Names every program that will not do, with the reason and what to do.
pub fn accept(rows: &[Row]) -> Result<(), Halt> {
    let bad: Vec<&Row> = rows.iter().filter(|row| !row.ok).collect();
    let Some(first) = bad.first() else { return Ok(()) };
    let said: Vec<String> = bad.iter().map(|row| format!("{}: {}: {}", row.what, row.found, row.why)).collect();
    let message = format!("no town can be made with these programs: {}", said.join("; "));
    Err(Halt::environment(message).hint(format!("{}; `proctor doctor --town gastown` shows all", first.advice)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn found(name: &str, said: &str) -> Found {
        Found { name: name.into(), path: Some("/opt/x".into()), said: said.into() }
    }

    fn stands(name: &str, said: &str) -> bool {
        judge(&[found(name, said)])[0].ok
    }

    #[test]
    fn versions_are_read_as_the_programs_say_them() {
        assert_eq!(Version::find("gt version v1.0.1-39-g0123456 (dev: 0123456)"), Some(Version(1, 0, 1)));
        assert_eq!(Version::find("bd version 0.62.0 (abc: main@abc)"), Some(Version(0, 62, 0)));
        assert_eq!(Version::find("tmux 3.3a"), Some(Version(3, 3, 0)));
        assert_eq!(Version::find("git version 2.39.5"), Some(Version(2, 39, 5)));
        assert_eq!(Version::find("bd version dev"), None);
    }

    #[test]
    fn only_versions_that_work_together_are_accepted() {
        for good in ["0.57.0", "0.62.0", "0.62.3"] {
            assert!(stands("bd", good), "{good}");
        }
        for bad in ["0.56.1", "0.63.0", "1.0.2", "1.0.5", "none"] {
            assert!(!stands("bd", bad), "{bad}");
        }
        assert!(stands("dolt", "dolt version 1.82.4") && !stands("dolt", "dolt version 1.82.3") && stands("dolt", "2.3.1"));
        assert!(stands("tmux", "tmux 3.2a") && !stands("tmux", "tmux 3.1c"));
        assert!(stands("gt", "gt version v1.0.1") && !stands("gt", "gt version v0.9.0"));
    }

    #[test]
    fn every_program_that_will_not_do_is_named_with_what_to_do() {
        let missing = Found { name: "gt".into(), path: None, said: String::new() };
        let halt = accept(&judge(&[missing, found("bd", "bd version 1.0.5")])).unwrap_err();
        assert!(halt.message.contains("gt: not found") && halt.message.contains("issue_prefix"), "{halt}");
        assert!(halt.hint.unwrap().contains(BIN));
        assert_eq!(halt.kind, proctor_judge::evidence::StopKind::Environment);
        assert!(accept(&judge(&[found("bd", "bd version 0.62.0")])).is_ok());
    }

    #[test]
    fn a_named_folder_wins_over_the_search_path() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (named, path) = (folder.path().join("named"), folder.path().join("path"));
        for place in [&named, &path] {
            fs::create_dir(place).unwrap();
            fs::write(place.join("gt"), "").unwrap();
            fs::set_permissions(place.join("gt"), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut user = BTreeMap::from([("PATH".to_owned(), path.display().to_string())]);
        assert_eq!(search(&user, "gt"), Some(path.join("gt").canonicalize().unwrap()));
        user.insert(BIN.into(), named.display().to_string());
        assert_eq!(search(&user, "gt"), Some(named.join("gt").canonicalize().unwrap()));
        assert_eq!(search(&user, "bd"), None);
    }
}
