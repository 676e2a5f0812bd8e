//! `gt rig add`, `gt rig list`.

use std::fmt::Write as _;
use std::path::Path;

use rusqlite::params;
use serde_json::{Map, json};

use crate::Output;
use crate::agents;
use crate::args::Verb;
use crate::error::{Result, TownError, refused, refused_hint};
use crate::git::{Git, is_branch};
use crate::ids;
use crate::invocation::{Invocation, say, say_json};
use crate::town::{Rig, Town};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        path: "rig add",
        usage: "<name> <git-url>",
        about: "Adds a repository with its workers' folders",
        flags: &["prefix=P  Prefix of its issues", "branch=B  Target branch (default: the origin's)"],
        run: add,
    },
    Verb { path: "rig list", usage: "", about: "Lists rigs", flags: &["json  Print JSON"], run: list },
];

/// What git must not see in a rig's clones: files that belong to the town or to running programs.
const EXCLUDED: &str = "# of the town\n.beads/\n.claude/\n.runtime/\n.logs/\n__pycache__/\nstate.json\nCLAUDE.local.md\n";

const FOLDERS: [&str; 4] = ["mayor", "witness", "polecats", "settings"];

fn add(call: &mut Invocation) -> Result<Output> {
    let name = call.need(0, "<name>")?;
    let url = call.need(1, "<git-url>")?;
    let mut town = call.town()?;
    let prefix = call.args.value("prefix").map_or_else(|| ids::default_prefix(&name), str::to_string);
    let prefix = prefix.trim_end_matches('-').to_string();
    check(&town, &name, &prefix, &url)?;
    let branch = match make(&town, &name, &url, call.args.value("branch")) {
        Ok(branch) => branch,
        Err(error) => {
            let _ = std::fs::remove_dir_all(town.rig_dir(&name));
            return Err(error);
        }
    };
    let rig = Rig { name, prefix, url, branch };
    enter(&mut town, &rig)?;
    Ok(say(summary(&rig)))
}

fn check(town: &Town, name: &str, prefix: &str, url: &str) -> Result<()> {
    if name.is_empty() || name.contains(['-', '.', ' ', '/', '\\']) || ["mayor", "deacon", "settings"].contains(&name) {
        return refused_hint(format!("invalid rig name {name:?}"), "no dashes, dots, blanks or slashes");
    }
    if prefix.is_empty() || !prefix.chars().all(|c| c.is_ascii_alphanumeric()) || prefix == "hq" {
        return refused_hint(format!("invalid prefix {prefix:?}"), "letters and digits, not `hq`");
    }
    let remote = ["https://", "http://", "ssh://", "git@", "file:///", "git://"];
    if !remote.iter().any(|start| url.starts_with(start)) {
        return refused_hint(format!("invalid git URL {url:?}"), format!("for a local repository: file://{url}"));
    }
    for rig in town.rigs()? {
        if rig.name == name {
            return refused(format!("rig '{name}' already exists"));
        }
        if rig.prefix == prefix {
            return refused_hint(format!("prefix {prefix:?} is rig {}'s", rig.name), "choose another: --prefix P");
        }
    }
    if town.rig_dir(name).exists() {
        return refused(format!("{} already exists", town.rig_dir(name).display()));
    }
    Ok(())
}

/// Makes a rig's folders and repositories; gives its target branch.
fn make(town: &Town, name: &str, url: &str, branch: Option<&str>) -> Result<String> {
    let dir = town.rig_dir(name);
    for folder in FOLDERS {
        let path = dir.join(folder);
        std::fs::create_dir_all(&path).map_err(TownError::io(&path))?;
    }
    let repo = town.rig_repo(name);
    Git::of_daemon(&town.caller, &dir, "overseer").run(&["clone", "--quiet", "--bare", "--template=", "--", url, ".repo.git"])?;
    let git = Git::of_daemon(&town.caller, &repo, "overseer");
    git.run(&["config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"])?;
    // What was just cloned need not be asked for again: every visit to a served origin costs several processes on both sides.
    git.run(&["fetch", "--quiet", "--no-tags", ".", "+refs/heads/*:refs/remotes/origin/*"])?;
    let branch = match branch {
        Some(branch) if !is_branch(branch) => return refused(format!("{branch:?} is no name of a branch")),
        Some(branch) => branch.to_string(),
        None => git.run(&["symbolic-ref", "--short", "HEAD"])?,
    };
    if !git.holds(&["rev-parse", "--verify", "--quiet", &format!("origin/{branch}")]) {
        return refused_hint(format!("{url} has no commit on {branch}"), "push a first commit to it");
    }
    let instead = format!("url.{}.insteadOf={url}", repo.display());
    // The mayor can write to its clone, and must not get hold of a file of the town's own repository by a link.
    let clone =
        ["-c", &instead, "clone", "--quiet", "--no-hardlinks", "--template=", "--branch", &branch, "--", url, "mayor/rig"];
    Git::of_daemon(&town.caller, &dir, "overseer").run(&clone)?;
    exclude(&dir.join("mayor/rig/.git/info"))?;
    Ok(branch)
}

pub(super) fn exclude(info: &Path) -> Result<()> {
    std::fs::create_dir_all(info).map_err(TownError::io(info))?;
    let path = info.join("exclude");
    std::fs::write(&path, EXCLUDED).map_err(TownError::io(&path))
}

fn enter(town: &mut Town, rig: &Rig) -> Result<()> {
    let root = town.root.clone();
    let config = json!({
        "type": "rig", "version": 1, "name": rig.name, "git_url": rig.url, "default_branch": rig.branch,
        "beads": { "prefix": rig.prefix },
    });
    super::setup::write_json(&town.rig_dir(&rig.name).join("config.json"), &config)?;
    town.change(|change| {
        change.tx.execute(
            "INSERT INTO rigs(name, prefix, url, branch, added_at) VALUES(?1,?2,?3,?4,?5)",
            params![rig.name, rig.prefix, rig.url, rig.branch, change.now],
        )?;
        change.event("rig_add", json!({ "rig": rig.name, "prefix": rig.prefix, "url": rig.url }));
        // Written inside the transaction, so that two rigs added at once do not lose each other.
        write_list(&root, &change.tx)
    })
}

fn write_list(root: &Path, db: &rusqlite::Connection) -> Result<()> {
    let mut query = db.prepare("SELECT name, prefix, url, branch, added_at FROM rigs ORDER BY name")?;
    let rows = query.query_map([], |row| {
        let column = |n: usize| row.get::<_, String>(n);
        Ok((column(0)?, column(1)?, column(2)?, column(3)?, column(4)?))
    })?;
    let mut rigs = Map::new();
    let mut routes = "{\"prefix\":\"hq-\",\"path\":\".\"}\n".to_string();
    for row in rows {
        let (name, prefix, url, branch, added_at) = row?;
        let _ = writeln!(routes, "{}", json!({ "prefix": format!("{prefix}-"), "path": format!("{name}/mayor/rig") }));
        let beads = json!({ "repo": "local", "prefix": prefix });
        rigs.insert(name, json!({ "git_url": url, "default_branch": branch, "added_at": added_at, "beads": beads }));
    }
    super::setup::write_json(&root.join("mayor/rigs.json"), &json!({ "version": 1, "rigs": rigs }))?;
    let path = root.join(".beads/routes.jsonl");
    std::fs::write(&path, routes).map_err(TownError::io(&path))
}

fn summary(rig: &Rig) -> String {
    let name = &rig.name;
    format!(
        "Creating rig {name}...\n  Repository: {}\n  Prefix: {}-\n  Branch: {}\n\n✓ Rig created\n\nStructure:\n  {name}/\n  \
         ├── .repo.git/      (bare repository that merges are made in)\n  ├── mayor/rig/      (clone: {})\n  \
         └── polecats/\n\nNext steps:\n  cd {name} && bd create --title \"...\"\n  gt sling <issue> {name}\n",
        rig.url, rig.prefix, rig.branch, rig.branch
    )
}

fn list(call: &mut Invocation) -> Result<Output> {
    let town = call.town()?;
    let agents = agents::all(&town.db)?;
    let polecats = |rig: &str| agents.iter().filter(|a| a.role == "polecat" && a.rig.as_deref() == Some(rig)).count();
    let rigs = town.rigs()?;
    if call.args.has("json") {
        let rows = rigs.iter().map(|rig| {
            json!({
                "name": rig.name, "beads_prefix": rig.prefix, "status": "operational", "witness": "built-in",
                "refinery": "built-in", "polecats": polecats(&rig.name), "crew": 0,
            })
        });
        return say_json(&rows.collect::<Vec<_>>());
    }
    if rigs.is_empty() {
        return Ok(say("No rigs configured.\n\nAdd one with: gt rig add <name> <git-url>"));
    }
    let mut text = format!("Rigs in {}:\n\n", town.root.display());
    for rig in &rigs {
        let _ = writeln!(text, "  {}\n    Prefix: {}-  Polecats: {}  {}", rig.name, rig.prefix, polecats(&rig.name), rig.url);
    }
    Ok(say(text))
}
