//! `gt install`, `version`, `whoami`, `doctor`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::Output;
use crate::args::Verb;
use crate::caller::short_address;
use crate::daemon::client;
use crate::error::{Result, TownError, refused, refused_hint};
use crate::git::Git;
use crate::invocation::{Invocation, say};
use crate::town::{self, Town};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        path: "install",
        usage: "[path]",
        about: "Creates a new town (HQ)",
        flags: &[
            "f|force  Create it even where one is",
            "n|name=NAME  Name of the town (default: its folder's)",
            "owner=EMAIL  Owner's mail address",
            "public-name=NAME  Name shown to others",
            "git  Make the town's folder a git repository",
        ],
        run: install,
    },
    Verb { path: "version", usage: "", about: "Shows the version", flags: &[], run: version },
    Verb { path: "whoami", usage: "", about: "Shows who the town takes you for", flags: &[], run: whoami },
    Verb {
        path: "doctor",
        usage: "",
        about: "Looks for what is wrong with the town",
        flags: &["v|verbose  Show checks that passed", "fix  Accepted; nothing is changed", "rig=RIG  Only this rig"],
        run: doctor,
    },
];

const FOLDERS: [&str; 8] = ["mayor", "deacon", "plugins", "settings", "daemon", "logs", ".runtime/transcripts", ".beads"];

fn install(call: &mut Invocation) -> Result<Output> {
    let given = call.args.word(0).unwrap_or(".");
    let root = call.caller.cwd.join(given);
    check_place(&root, call.args.has("force"))?;
    for folder in FOLDERS {
        let path = root.join(folder);
        std::fs::create_dir_all(&path).map_err(TownError::io(&path))?;
    }
    let root = root.canonicalize().map_err(TownError::io(&root))?;
    let folder = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = call.args.value("name").unwrap_or(&folder).to_string();
    write_identity(call, &root, &name)?;
    Town::create_store(&root, &call.caller)?;
    if call.args.has("git") {
        Git::new(&call.caller, &root, "overseer").run(&["init", "--quiet"])?;
    }
    let mut text = format!("Creating Gas Town HQ at {}\n\n", root.display());
    for made in ["mayor/town.json", "mayor/rigs.json", "CLAUDE.md", ".beads/beads.db"] {
        let _ = writeln!(text, "   ✓ Created {made}");
    }
    text.push_str("\n✓ HQ created successfully!\n\nNext steps:\n  gt rig add <name> <git-url>\n  gt mayor start\n");
    Ok(say(text))
}

fn check_place(root: &Path, force: bool) -> Result<()> {
    if town::is_town(root) && !force {
        return refused_hint(format!("{} is already a Gas Town HQ", root.display()), "use --force to write its files again");
    }
    match root.ancestors().skip(1).find(|above| town::is_town(above)) {
        Some(above) => refused(format!("{} lies inside the town {}", root.display(), above.display())),
        None => Ok(()),
    }
}

fn write_identity(call: &Invocation, root: &Path, name: &str) -> Result<()> {
    let owner = call.args.value("owner").unwrap_or_default();
    let public = call.args.value("public-name").unwrap_or(name);
    let town = json!({
        "type": "town", "version": 2, "name": name, "owner": owner, "public_name": public, "created_at": call.caller.now(),
    });
    write_json(&root.join("mayor/town.json"), &town)?;
    let rigs = root.join("mayor/rigs.json");
    if !rigs.is_file() {
        write_json(&rigs, &json!({ "version": 1, "rigs": {} }))?;
    }
    let path = root.join("CLAUDE.md");
    std::fs::write(&path, "# Gas Town\n\nRun `gt prime` to learn who you are here.\n").map_err(TownError::io(&path))
}

/// Writes a JSON document, indented by two.
pub(super) fn write_json(path: &PathBuf, value: &serde_json::Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(TownError::json(path.display().to_string()))?;
    std::fs::write(path, text + "\n").map_err(TownError::io(path))
}

fn version(_: &mut Invocation) -> Result<Output> {
    Ok(say(format!("gt version {} (built-in town of proctor)", env!("CARGO_PKG_VERSION"))))
}

fn whoami(call: &mut Invocation) -> Result<Output> {
    let root = town::find(&call.caller);
    let agent = call.caller.agent(root.as_deref());
    Ok(say(format!("Identity: {}\nRole: {agent}\n", short_address(&agent))))
}

fn doctor(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let mut lines = Vec::new();
    let whole: String = town.db.query_row("PRAGMA quick_check", [], |row| row.get(0))?;
    lines.push((whole == "ok", true, "bead store is whole".to_string()));
    let running = client::running(&town).is_some();
    lines.push((running, false, "daemon is running".to_string()));
    for rig in town.rigs()? {
        if call.args.value("rig").is_some_and(|only| only != rig.name) {
            continue;
        }
        let repo = town.rig_repo(&rig.name);
        let reach = Git::of_daemon(&call.caller, &repo, "overseer").holds(&["ls-remote", "--exit-code", "origin", &rig.branch]);
        lines.push((reach, true, format!("{}: origin answers", rig.name)));
        lines.push((repo.join("HEAD").exists(), true, format!("{}: the refinery's repository is there", rig.name)));
    }
    Ok(verdict(&lines, call.args.has("verbose")))
}

/// Lines are: whether it holds, whether it is an error when it does not, what was checked.
fn verdict(lines: &[(bool, bool, String)], verbose: bool) -> Output {
    let mut text = String::new();
    let (mut passed, mut warnings, mut failed) = (0, 0, 0);
    for (holds, error, what) in lines {
        let icon = match (holds, error) {
            (true, _) => "✓",
            (false, false) => "⚠",
            (false, true) => "✖",
        };
        passed += u32::from(*holds);
        warnings += u32::from(!holds && !error);
        failed += u32::from(!holds && *error);
        if verbose || !holds {
            let _ = writeln!(text, "  {icon} {what}");
        }
    }
    let _ = writeln!(text, "✓ {passed} passed  ⚠ {warnings} warnings  ✖ {failed} failed");
    Output { code: u8::from(failed > 0), ..say(text) }
}
