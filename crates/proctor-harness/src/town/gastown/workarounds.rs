//! Everything that Proctor does because of a defect of `gt`, `bd`, `dolt` or `tmux`: one table.
//!
//! [`TABLE`] is what preparing a town goes through and what `docs/gastown.md` lists. A row goes when the defect is mended: its
//! versions say for which programs it still applies.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::programs::Version;
use super::{programs, settings};
use crate::halt::Halt;

/// Something done because of a defect.
#[derive(Clone, Copy, Debug)]
pub struct Workaround {
    /// Short name.
    pub name: &'static str,
    /// What goes wrong without it.
    pub defect: &'static str,
    /// The program that has the defect.
    pub program: &'static str,
    /// The first version known to have it.
    pub from: Version,
    /// The first version without it; absent while there is none.
    pub mended: Option<Version>,
    /// What Proctor does.
    pub what: &'static str,
    /// The test that shows it.
    pub test: &'static str,
    /// How it is done.
    pub step: Step,
}

/// How a workaround is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Variables in the town's environment.
    Environment(&'static [(&'static str, &'static str)]),
    /// Variables with the town's port as value.
    PortEnvironment(&'static [&'static str]),
    /// Lines of the git settings in the town's home; `{home}` stands for it.
    Git(&'static str),
    /// A file in the town's home.
    HomeFile(&'static str, &'static str),
    /// The settings that keep dolt silent, in the town's home.
    SilentDolt,
    /// `bd` with these arguments, in the town's root, once it is installed.
    Bd(&'static [&'static str]),
    /// `mayor/daemon.json`, once the town is installed.
    CalmDaemon,
    /// Files outside the base directory, removed before the town is made and after it ended; `{port}` and `{socket}` stand for
    /// the town's own.
    Outside(&'static [&'static str]),
    /// Done elsewhere: in the scenario's scripts, by the agents, or by how a town is judged.
    Elsewhere,
}

const FIRST: Version = Version(0, 0, 0);

/// All workarounds.
pub const TABLE: [Workaround; 23] = [
    Workaround {
        name: "overlay-files",
        defect: "`gt done` refuses: its ignore list lies where git never reads it, so that `.beads/`, `.runtime/` and `CLAUDE.md` look uncommitted",
        program: "gt",
        from: FIRST,
        mended: None,
        what: "the town's home has a `core.excludesFile` that names the town's own files",
        test: "workarounds::tests::git_ignores_what_the_town_lays_into_worktrees",
        step: Step::Git("[core]\n\texcludesFile = {home}/gitignore\n"),
    },
    Workaround {
        name: "overlay-list",
        defect: "as before",
        program: "gt",
        from: FIRST,
        mended: None,
        what: "that file",
        test: "workarounds::tests::git_ignores_what_the_town_lays_into_worktrees",
        step: Step::HomeFile(
            "gitignore",
            ".beads/\n.claude/\n.runtime/\n.logs/\n__pycache__/\nCLAUDE.md\nCLAUDE.local.md\nstate.json\n",
        ),
    },
    Workaround {
        name: "custom-statuses",
        defect: "`gt convoy create` takes bd's text for an unset key as a status: invalid status name \"status.custom (not set)\"",
        program: "gt",
        from: FIRST,
        mended: None,
        what: "`status.custom` is set once after the installation",
        test: "end_to_end::gastown::the_crypto_tales_land",
        step: Step::Bd(&["config", "set", "status.custom", "staged_ready,staged_warnings"]),
    },
    Workaround {
        name: "beads-role",
        defect: "`gt install` sets `beads.role` with git in a folder that is no repository, and fails",
        program: "gt",
        from: FIRST,
        mended: None,
        what: "`beads.role` stands in the git settings of the town's home, and so do trust in every folder and no upkeep in the background",
        test: "workarounds::tests::the_home_of_a_town_says_what_git_and_dolt_must_know",
        step: Step::Git("[beads]\n\trole = maintainer\n[safe]\n\tdirectory = *\n"),
    },
    Workaround {
        name: "silent-dolt",
        defect: "`dolt version`, which gt calls, asks a server for newer releases; dolt sends figures",
        program: "dolt",
        from: FIRST,
        mended: None,
        what: "dolt's own settings in the town's home switch both off",
        test: "workarounds::tests::the_home_of_a_town_says_what_git_and_dolt_must_know",
        step: Step::SilentDolt,
    },
    Workaround {
        name: "no-sender",
        defect: "every call of dolt starts a `dolt send-metrics` that outlives it, even where the settings switch the sending off",
        program: "dolt",
        from: FIRST,
        mended: None,
        what: "`DOLT_DISABLE_EVENT_FLUSH=1` in the town's environment",
        test: "workarounds::tests::a_town_knows_its_own_port_only_and_sends_nothing",
        step: Step::Environment(&[("DOLT_DISABLE_EVENT_FLUSH", "1")]),
    },
    Workaround {
        name: "one-dolt",
        defect: "`bd` starts a second server on a random port when it does not reach the town's",
        program: "bd",
        from: FIRST,
        mended: None,
        what: "`BEADS_DOLT_AUTO_START=0` in the town's environment",
        test: "workarounds::tests::a_town_knows_its_own_port_only_and_sends_nothing",
        step: Step::Environment(&[("BEADS_DOLT_AUTO_START", "0")]),
    },
    Workaround {
        name: "own-port",
        defect: "gt ends whatever listens on the port of its town, and takes 3307 when nobody names one",
        program: "gt",
        from: FIRST,
        mended: None,
        what: "a port under a lock, named at the installation and in the environment",
        test: "workarounds::tests::a_town_knows_its_own_port_only_and_sends_nothing",
        step: Step::PortEnvironment(&["GT_DOLT_PORT", "BEADS_DOLT_PORT"]),
    },
    Workaround {
        name: "calm-daemon",
        defect: "the daemon does not learn the town's port, and its patrols start, end and commit on their own",
        program: "gt",
        from: FIRST,
        mended: None,
        what: "`mayor/daemon.json` states the port and switches patrols off; those of witness and refinery stay on where a daemon runs and refineries merge, since it ends agents whose patrol is off",
        test: "settings::tests::the_daemon_keeps_its_settings_but_does_nothing_of_its_own",
        step: Step::CalmDaemon,
    },
    Workaround {
        name: "circuit-breaker",
        defect: "`bd` keeps the state of its circuit breaker in /tmp under the port's number: an open one lets the next town on that port fail",
        program: "bd",
        from: FIRST,
        mended: None,
        what: "the file is removed before the town is made and after it ended",
        test: "workarounds::tests::files_outside_are_the_towns_own",
        step: Step::Outside(&[
            "/tmp/beads-dolt-circuit-127-0-0-1-{port}.json",
            "/tmp/beads-circuit/beads-dolt-circuit-127-0-0-1-{port}.json",
        ]),
    },
    Workaround {
        name: "left-socket",
        defect: "a tmux server that ended leaves its socket file behind",
        program: "tmux",
        from: FIRST,
        mended: None,
        what: "the file is removed after the town ended",
        test: "workarounds::tests::files_outside_are_the_towns_own",
        step: Step::Outside(&["{socket}"]),
    },
    Workaround {
        name: "private-files",
        defect: "`bd` complains at every call about folders that others can read",
        program: "bd",
        from: FIRST,
        mended: None,
        what: "every program of the town is started with umask 077",
        test: "calls::tests::what_a_call_makes_is_the_users_own",
        step: Step::Elsewhere,
    },
    Workaround {
        name: "refineries-first",
        defect: "a daemon feeds open issues of a convoy to workers without starting a refinery: nothing is ever merged",
        program: "gt",
        from: FIRST,
        mended: None,
        what: "the mayor's script starts the refinery of each rig before anything is slung; with the daemon it makes the convoy last",
        test: "end_to_end::gastown_daemon::the_crypto_tales_land_with_the_daemon_beside_a_live_town",
        step: Step::Elsewhere,
    },
    Workaround {
        name: "harmless-pieces",
        defect: "`gt nudge` types a text in pieces of 512 bytes: one that begins with `-` is taken for a flag of tmux and the nudge fails, one that ends with `;` loses it, and a letter can be cut",
        program: "gt",
        from: FIRST,
        mended: None,
        what: "spaces before the prompt move the borders to where they do no harm",
        test: "pieces::tests::no_piece_begins_as_a_flag_ends_as_a_command_or_cuts_a_letter",
        step: Step::Elsewhere,
    },
    Workaround {
        name: "process-names",
        defect: "`gt` looks for agents under the name of their command, whatever the town's settings say of `process_names`: it calls those that it does not see stalled, and a daemon restarts them",
        program: "gt",
        from: FIRST,
        mended: None,
        what: "`settings/agents.json` names the programs that `agent-launch` becomes",
        test: "process_names::tests::a_program_is_known_by_its_name_and_a_script_also_by_what_runs_it",
        step: Step::Elsewhere,
    },
    Workaround {
        name: "own-processes",
        defect: "a daemon ends agents of other towns of the same user",
        program: "gt",
        from: FIRST,
        mended: None,
        what: "a run with the daemon gets a PID namespace of its own, or is refused",
        test: "end_to_end::gastown_daemon::the_crypto_tales_land_with_the_daemon_beside_a_live_town",
        step: Step::Elsewhere,
    },
    Workaround {
        name: "convoy-check",
        defect: "without the daemon nobody closes a convoy",
        program: "gt",
        from: FIRST,
        mended: None,
        what: "the harness calls `gt convoy check` once all that a convoy tracks is closed, and writes it down; never where the daemon runs",
        test: "tend::tests::a_convoy_is_checked_once_all_it_tracks_is_closed",
        step: Step::Elsewhere,
    },
    Workaround {
        name: "merge-strategy",
        defect: "`gt sling --merge` is ignored for an issue that a convoy tracks already",
        program: "gt",
        from: FIRST,
        mended: None,
        what: "the mayor's script says `--merge direct` when it makes the convoy",
        test: "end_to_end::gastown::the_crypto_tales_land_directly",
        step: Step::Elsewhere,
    },
    Workaround {
        name: "detached-refinery",
        defect: "`gt done` cannot go back to main while the refinery sits on it",
        program: "gt",
        from: FIRST,
        mended: None,
        what: "the refinery's script stays on a detached head",
        test: "end_to_end::gastown::the_crypto_tales_land",
        step: Step::Elsewhere,
    },
    Workaround {
        name: "leave-after-done",
        defect: "a worker whose session lives after `gt done` counts as working and is never used again",
        program: "gt",
        from: FIRST,
        mended: None,
        what: "the built-in agent ends after a `gt done` that succeeded",
        test: "end_to_end::gastown::the_crypto_tales_land",
        step: Step::Elsewhere,
    },
    Workaround {
        name: "telemetry-in-tmux",
        defect: "`gt` tells agents where their program and `bd` report to, not `gt` itself: it has the addresses only where the tmux server was started with them",
        program: "gt",
        from: FIRST,
        mended: None,
        what: "in a live town they are set in its tmux server for the time of the run, and put back afterwards",
        test: "end_to_end::live_town::a_town_that_is_there_already_is_played_in_and_left_as_it_was",
        step: Step::Elsewhere,
    },
    Workaround {
        name: "author-address",
        defect: "commits name the worker alone (`furiosa`), and workers of two rigs can have the same name: whose commit it is cannot be told",
        program: "gt",
        from: FIRST,
        mended: None,
        what: "`agent-launch` gives each agent an e-mail address of its own to commit with (`alice.polecats.furiosa@gastown.local`)",
        test: "launch::tests::commits_carry_their_agents_address_unless_the_town_says_another",
        step: Step::Elsewhere,
    },
    Workaround {
        name: "git-decides",
        defect: "`gt done` closes an issue before its merge, and a rejected merge does not open it again: a convoy closes without code",
        program: "gt",
        from: FIRST,
        mended: None,
        what: "landed asks the origins: closed without the commit on main is not landed",
        test: "landed::main_that_moved_by_other_work_does_not_land_this_work",
        step: Step::Elsewhere,
    },
];

/// What the steps are done with.
pub(super) struct Ground<'a> {
    /// The home of everything in the town.
    pub(super) home: &'a Path,
    /// The town's root.
    pub(super) town: &'a Path,
    /// The port of its dolt.
    pub(super) port: u16,
    /// Path of its tmux socket.
    pub(super) socket: &'a Path,
}

/// The workarounds for these programs.
pub(super) fn applying(versions: &BTreeMap<String, Version>) -> Vec<&'static Workaround> {
    // A program that does not say its version was refused before; in doubt a workaround does no harm.
    let applies = |row: &&Workaround| {
        versions.get(row.program).is_none_or(|found| *found >= row.from && row.mended.is_none_or(|mended| *found < mended))
    };
    TABLE.iter().filter(applies).collect()
}

/// The variables of the town that come from workarounds.
pub(super) fn environment(rows: &[&Workaround], port: u16) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    for row in rows {
        match row.step {
            Step::Environment(pairs) => env.extend(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))),
            Step::PortEnvironment(keys) => env.extend(keys.iter().map(|key| ((*key).to_owned(), port.to_string()))),
            _ => {}
        }
    }
    env
}

/// Writes the files that must be there before the town is made.
pub(super) fn before_install(rows: &[&Workaround], ground: &Ground<'_>) -> Result<(), Halt> {
    for row in rows {
        match row.step {
            Step::Git(lines) => {
                append(&ground.home.join(".gitconfig"), &lines.replace("{home}", &ground.home.display().to_string()))?
            }
            Step::HomeFile(name, text) => {
                let file = ground.home.join(name);
                fs::write(&file, text).map_err(|error| Halt::io("write", &file, &error))?;
            }
            Step::SilentDolt => programs::write_silence(ground.home)?,
            _ => {}
        }
    }
    Ok(())
}

/// Changes files of a town that was just installed.
///
/// `patrols` are those that a running daemon keeps.
pub(super) fn after_install(rows: &[&Workaround], ground: &Ground<'_>, patrols: &[&str]) -> Result<(), Halt> {
    if rows.iter().any(|row| row.step == Step::CalmDaemon) {
        settings::calm_daemon(ground.town, ground.port, patrols)?;
    }
    Ok(())
}

/// The calls of `bd` that a town needs once it is installed.
pub(super) fn bd_calls(rows: &[&Workaround]) -> Vec<&'static [&'static str]> {
    rows.iter().filter_map(|row| if let Step::Bd(args) = row.step { Some(args) } else { None }).collect()
}

/// The files outside the base directory that the town leaves.
pub(super) fn outside(rows: &[&Workaround], ground: &Ground<'_>) -> Vec<PathBuf> {
    let (port, socket) = (ground.port.to_string(), ground.socket.display().to_string());
    let filled = |pattern: &str| PathBuf::from(pattern.replace("{port}", &port).replace("{socket}", &socket));
    let patterns = rows.iter().filter_map(|row| if let Step::Outside(patterns) = row.step { Some(patterns) } else { None });
    patterns.flatten().map(|pattern| filled(pattern)).collect()
}

fn append(file: &Path, text: &str) -> Result<(), Halt> {
    let written = OpenOptions::new().create(true).append(true).open(file).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Halt::io("write", file, &error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::process::Command;

    fn ground<'a>(home: &'a Path, socket: &'a Path) -> Ground<'a> {
        Ground { home, town: home, port: 21_077, socket }
    }

    fn all() -> Vec<&'static Workaround> {
        TABLE.iter().collect()
    }

    #[test]
    fn a_workaround_goes_when_its_defect_is_mended() {
        let row = Workaround { mended: Some(Version(2, 0, 0)), from: Version(1, 0, 0), ..TABLE[0] };
        let applies = |version: Version| version >= row.from && row.mended.is_none_or(|mended| version < mended);
        assert!(applies(Version(1, 0, 1)) && !applies(Version(2, 0, 0)));
        let versions = BTreeMap::from([("gt".to_owned(), Version(1, 0, 1))]);
        assert_eq!(applying(&versions).len(), TABLE.len());
    }

    #[test]
    fn names_are_told_apart_and_every_row_names_its_test() {
        let names: std::collections::BTreeSet<&str> = TABLE.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), TABLE.len());
        assert!(TABLE.iter().all(|row| row.test.contains("::") && !row.defect.is_empty() && !row.what.is_empty()));
    }

    #[test]
    fn the_test_that_a_row_names_is_there() {
        fn gather(folder: &Path, text: &mut String) {
            for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() {
                    gather(&entry, text);
                } else if entry.extension().is_some_and(|end| end == "rs") {
                    text.push_str(&fs::read_to_string(entry).unwrap());
                }
            }
        }
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut text = String::new();
        for folder in ["proctor-harness/src", "proctor-harness/tests", "proctor/tests"] {
            gather(&crates.join(folder), &mut text);
        }
        for row in TABLE {
            let name = row.test.rsplit("::").next().unwrap();
            assert!(text.contains(&format!("fn {name}(")), "{}: there is no test {name}", row.name);
        }
    }

    #[test]
    fn the_documentation_lists_every_row() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/gastown.md");
        let text = fs::read_to_string(page).unwrap();
        for row in TABLE {
            let line = format!("| `{}` | {} | {} |", row.name, row.defect, row.what);
            assert!(text.contains(&line), "docs/gastown.md has no line\n{line}");
        }
    }

    #[test]
    fn git_ignores_what_the_town_lays_into_worktrees() {
        let home = tempfile::tempdir().unwrap();
        before_install(&all(), &ground(home.path(), Path::new("/s"))).unwrap();
        let work = home.path().join("work");
        for folder in ["work/.beads", "work/.runtime"] {
            fs::create_dir_all(home.path().join(folder)).unwrap();
        }
        for file in [".beads/redirect", ".runtime/x", "CLAUDE.md", "alice.py"] {
            fs::write(work.join(file), "x").unwrap();
        }
        let git = |args: &[&str]| {
            let mut command = Command::new("git");
            command
                .args(args)
                .current_dir(&work)
                .env("HOME", home.path())
                .env("GIT_CONFIG_NOSYSTEM", "1")
                .env_remove("XDG_CONFIG_HOME");
            String::from_utf8(command.output().unwrap().stdout).unwrap()
        };
        git(&["init", "-q"]);
        assert_eq!(git(&["status", "--short"]), "?? alice.py\n");
    }

    #[test]
    fn the_home_of_a_town_says_what_git_and_dolt_must_know() {
        let home = tempfile::tempdir().unwrap();
        before_install(&all(), &ground(home.path(), Path::new("/s"))).unwrap();
        let git = fs::read_to_string(home.path().join(".gitconfig")).unwrap();
        assert!(git.contains("role = maintainer") && git.contains("directory = *"), "{git}");
        let dolt = fs::read_to_string(home.path().join(".dolt/config_global.json")).unwrap();
        assert!(dolt.contains(r#""metrics.disabled":"true""#) && dolt.contains(r#""versioncheck.disabled":"true""#), "{dolt}");
    }

    #[test]
    fn a_town_knows_its_own_port_only_and_sends_nothing() {
        let env = environment(&all(), 21_077);
        assert_eq!((env["GT_DOLT_PORT"].as_str(), env["BEADS_DOLT_PORT"].as_str()), ("21077", "21077"));
        assert_eq!((env["BEADS_DOLT_AUTO_START"].as_str(), env["DOLT_DISABLE_EVENT_FLUSH"].as_str()), ("0", "1"));
    }

    #[test]
    fn files_outside_are_the_towns_own() {
        let paths = outside(&all(), &ground(Path::new("/h"), Path::new("/tmp/tmux-7/town-123456")));
        assert!(
            paths.iter().all(|path| path.display().to_string().contains("21077") || path.ends_with("town-123456")),
            "{paths:?}"
        );
        assert_eq!(paths.len(), 3);
    }
}
