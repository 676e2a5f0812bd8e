//! The commands of `bd`.

mod make;
mod read;
mod relate;
mod settle;

use crate::args::{Program, Verb};
use crate::beads::{self, Bead};
use crate::error::{Result, refused};
use crate::invocation::Invocation;
use crate::town::Town;

pub(crate) use read::{SHOW, ready_beads, show};
pub(crate) use settle::{CLOSE, close};

/// Flags that every command takes.
const COMMON: &[&str] = &[
    "json  Print JSON",
    "actor=NAME  Who does it (default: BD_ACTOR, else the caller's role)",
    "C|directory=DIR  Accepted; the town is found from environment and working directory",
    "db=PATH  Accepted",
    "q|quiet  Accepted",
    "v|verbose  Accepted",
    "sandbox  Accepted",
    "readonly  Accepted",
    "no-daemon  Accepted",
];

const SETUP: &[Verb] = &[
    Verb {
        path: "init",
        usage: "",
        about: "Sets up beads: a town has its store already",
        flags: &[
            "p|prefix=P  Accepted",
            "skip-hooks  Accepted",
            "skip-agents  Accepted",
            "non-interactive  Accepted",
            "server  Accepted",
        ],
        run: settle::init,
    },
    Verb { path: "version", usage: "", about: "Shows the version", flags: &[], run: settle::version },
    Verb { path: "prime", usage: "", about: "Prints how to use bd", flags: &["full  Accepted"], run: settle::prime },
    Verb { path: "config get", usage: "<key>", about: "Shows a setting", flags: &[], run: settle::config_get },
    Verb { path: "config set", usage: "<key> <value>", about: "Changes a setting", flags: &[], run: settle::config_set },
    Verb { path: "config list", usage: "", about: "Lists settings", flags: &[], run: settle::config_list },
];

/// `bd`.
pub(crate) const PROGRAM: Program = Program {
    name: "bd",
    about: "Issues of a town, chained together like beads (the built-in town of Proctor)",
    verbs: &[make::VERBS, read::VERBS, settle::VERBS, relate::VERBS, SETUP],
    aliases: &[
        ("new", "create"),
        ("view", "show"),
        ("done", "close"),
        ("comment", "comment"),
        ("stats", "status"),
        ("dep rm", "dep remove"),
    ],
    flags: COMMON,
};

/// Who changes beads here.
fn actor(call: &Invocation, town: &Town) -> String {
    call.args.value("actor").map_or_else(|| town.caller.bead_actor(Some(&town.root)), str::to_string)
}

/// A priority as `0`–`4` or `P0`–`P4`.
fn priority(text: &str) -> Result<u8> {
    let digits = text.strip_prefix(['P', 'p']).unwrap_or(text);
    match digits.parse::<u8>() {
        Ok(n) if n <= 4 => Ok(n),
        _ => refused(format!("invalid priority {text:?} (expected 0-4 or P0-P4)")),
    }
}

/// The kind of bead that `name` means.
fn kind(name: &str) -> Result<&str> {
    const KINDS: [&str; 20] = [
        "bug",
        "feature",
        "task",
        "epic",
        "chore",
        "decision",
        "message",
        "molecule",
        "gate",
        "spike",
        "story",
        "milestone",
        "event",
        "agent",
        "role",
        "rig",
        "convoy",
        "slot",
        "queue",
        "merge-request",
    ];
    let name = match name {
        "enhancement" | "feat" => "feature",
        "dec" | "adr" => "decision",
        "investigation" | "timebox" => "spike",
        "user-story" => "story",
        "ms" => "milestone",
        "mr" => "merge-request",
        "mol" => "molecule",
        name => name,
    };
    if KINDS.contains(&name) { Ok(name) } else { refused(format!("invalid issue type {name:?}")) }
}

/// The beads that words name; what cannot be found is told, and it is an error only when nothing was found.
fn named(call: &Invocation, town: &Town) -> Result<(Vec<Bead>, String)> {
    if call.args.words.is_empty() {
        return refused("missing argument: <id...>");
    }
    let (mut found, mut missing) = (Vec::new(), String::new());
    for name in &call.args.words {
        match beads::find(&town.db, name) {
            Ok(bead) => found.push(bead),
            Err(error) if call.args.words.len() == 1 => return Err(error),
            Err(error) => missing.push_str(&format!("Error: {error}\n")),
        }
    }
    if found.is_empty() { refused(missing.trim_end()) } else { Ok((found, missing)) }
}

/// Reports how many issues have each status, after a change.
fn report_counts(town: &Town) -> Result<()> {
    if !town.caller.telemetry.wants_metrics() {
        return Ok(());
    }
    let mut query = town.db.prepare("SELECT status, count(*) FROM issues WHERE issue_type <> 'convoy' GROUP BY status")?;
    let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    for row in rows {
        let (status, count) = row?;
        town.caller.bd_issue_count(&status, u64::try_from(count).unwrap_or_default());
    }
    Ok(())
}
