//! A scenario of seconds: two rigs that are there already, one letter in each, no exercises, no Python.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::sandbox::{Ran, Sandbox};

const SCENARIO: &str = r#"schema = 1
name = "mini"
title = "Two letters"
convoy = "Letters"
rigs = "prepared"

[[rig]]
name = "north"
prefix = "no"

[[rig]]
name = "south"
prefix = "so"

[timeouts]
landing = "90s"

[[check]]
id = "file.north"
title = "north has its letter"
kind = "file"
rig = "north"
path = "letter.txt"

[[check]]
id = "file.south"
title = "south has its letter"
kind = "file"
rig = "south"
path = "letter.txt"

[[check]]
id = "telemetry"
title = "the telemetry of every agent is complete"
kind = "telemetry"
"#;

const PROMPT: &str = "You coordinate two workers.\n\nWrite one letter in each rig, tracked by the convoy \"Letters\".\n";

/// What a mayor does, in shell: issues, convoy, mail, slings.
pub(crate) const PLAN: &str = r#"ids=""
for rig in north south; do
  id=$(cd "$GT_TOWN_ROOT/$rig" && bd create --title "Letter of the $rig" --silent) || exit 1
  ids="$ids $id"
done
gt convoy create Letters $ids || exit 1
for id in $ids; do gt sling "$id" || exit 1; done
"#;

/// What a worker does, in shell: reads its hook, writes, commits, hands in.
pub(crate) const WORK: &str = r#"gt prime --hook </dev/null >/dev/null
issue=$(gt hook --json | sed -n 's/.*"id": *"\([^"]*\)".*/\1/p' | head -n 1)
echo "Dear reader, this is about $issue." > letter.txt
git add -A && git commit -qm "Letter ($issue)" && gt done
"#;

/// The scenario in a folder of a sandbox, with programs that play roles beside it.
pub(crate) struct Mini {
    pub(crate) sandbox: Sandbox,
}

impl Mini {
    /// As it stands, played by scripted models.
    pub(crate) fn new() -> Self {
        let mini = Self { sandbox: Sandbox::new() };
        mini.write("mini/scenario.toml", SCENARIO);
        mini.write("mini/prompt.md", PROMPT);
        let step = |name: &str| format!("run = 'sh \"$GT_TOWN_ROOT/../scenario/script/{name}.sh\"'\n");
        mini.write("mini/script/plan.sh", PLAN);
        mini.write("mini/script/work.sh", WORK);
        let turns =
            format!("[[turn]]\non = 'one letter'\n[[turn.step]]\n{}[[turn]]\n[[turn.step]]\nsay = \"I wait.\"\n", step("plan"));
        mini.write("mini/script/mayor.toml", &format!("schema = 1\nrole = \"mayor\"\n{turns}"));
        let turn = format!("[[turn]]\n[[turn.step]]\n{}", step("work"));
        mini.write("mini/script/polecat.toml", &format!("schema = 1\nrole = \"polecat\"\n{turn}"));
        mini
    }

    /// Adds to `scenario.toml`.
    pub(crate) fn add(&self, text: &str) {
        let path = self.sandbox.work().join("mini/scenario.toml");
        let whole = fs::read_to_string(&path).unwrap();
        self.write("mini/scenario.toml", &format!("{whole}\n{text}"));
    }

    /// Writes a file below the working directory; gives its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.sandbox.work().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// A program of its own with `#!/bin/sh`; gives its path as a flag takes it.
    pub(crate) fn program(&self, name: &str, text: &str) -> String {
        let path = self.write(name, &format!("#!/bin/sh\n{text}"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    /// `proctor run ./mini --json` with further arguments.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.sandbox.proctor(&["run", "./mini", "--json"]);
        Ran::of(command.args(args).output().unwrap())
    }
}

/// What was printed by `--json`.
#[track_caller]
pub(crate) fn summary_of(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", ran.stdout, ran.stderr))
}

/// The one row of `summary.agents` whose address begins so.
#[track_caller]
pub(crate) fn agent<'a>(summary: &'a Value, beginning: &str) -> &'a Value {
    let agents = summary["agents"].as_array().unwrap();
    let mut found = agents.iter().filter(|row| row["agent"].as_str().unwrap().starts_with(beginning));
    match (found.next(), found.next()) {
        (Some(row), None) => row,
        _ => panic!("not one agent {beginning}…: {agents:#?}"),
    }
}

/// The findings with this id.
pub(crate) fn findings<'a>(summary: &'a Value, id: &str) -> Vec<&'a Value> {
    summary["findings"].as_array().unwrap().iter().filter(|row| row["id"] == id).collect()
}

/// What the sessions of an agent printed, by the beginning of the session's name.
pub(crate) fn transcript(report: &Path, session: &str) -> String {
    let folder = report.join("evidence/transcripts");
    let mut names: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with(session));
    names.sort();
    names.iter().map(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).replace('\r', "")).collect()
}
