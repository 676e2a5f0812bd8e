//! The refinery of Crypto Tales merges with a shell program of the scenario: here it runs on real repositories, with a `gt`
//! that keeps its queue in files and writes down what it was asked.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One file a waiting request, named by its id; merging and rejecting take it away.
const GT: &str = r#"#!/bin/sh
printf '%s\n' "$*" >>"$TOWN/asked"
first=$(ls "$TOWN/queue" | head -n 1)
branch() { sed -n 's/.*"Branch": "\([^"]*\)".*/\1/p' "$TOWN/queue/$1"; }
case "$1 $2" in
  "refinery ready") if test -n "$first"; then cat "$TOWN/queue/$first"; else printf '{\n  "ready": null\n}\n'; fi ;;
  "mq post-merge") git --git-dir="$TOWN/origin.git" update-ref -d "refs/heads/$(branch "$4")" && rm "$TOWN/queue/$4" ;;
  "mq reject") rm "$TOWN/queue/$4" ;;
esac
"#;

struct Town {
    dir: tempfile::TempDir,
}

impl Town {
    /// An origin with a first commit, and the refinery's worktree.
    fn new() -> Self {
        let town = Self { dir: tempfile::tempdir().unwrap() };
        for folder in ["bin", "queue", "alice/refinery"] {
            fs::create_dir_all(town.path(folder)).unwrap();
        }
        fs::write(town.path("bin/gt"), GT).unwrap();
        fs::set_permissions(town.path("bin/gt"), fs::Permissions::from_mode(0o755)).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/crypto-tales/script/files/merge.sh");
        fs::copy(script, town.path("alice/refinery/merge.sh")).unwrap();
        town.shell(
            "git init --quiet --bare --initial-branch=main origin.git
             git clone --quiet file://$PWD/origin.git alice/refinery/rig 2>/dev/null
             git clone --quiet file://$PWD/origin.git worker 2>/dev/null
             cd worker && git checkout --quiet -B main
             echo first >README.md && git add . && git commit --quiet -m first && git push --quiet origin main
             cd ../alice/refinery/rig && git pull --quiet origin main && git checkout --quiet -B main",
        );
        town
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        command.current_dir(self.dir.path()).env("PATH", path).env("TOWN", self.dir.path()).env("GT_TOWN_ROOT", self.dir.path());
        for (key, value) in [("GIT_AUTHOR_NAME", "w"), ("GIT_COMMITTER_NAME", "w"), ("GIT_CONFIG_GLOBAL", "/dev/null")] {
            command.env(key, value);
        }
        command.env("GIT_AUTHOR_EMAIL", "w@example.invalid").env("GIT_COMMITTER_EMAIL", "w@example.invalid");
        command
    }

    fn shell(&self, script: &str) -> String {
        let output = self.command("sh").args(["-ec", script]).output().unwrap();
        assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A worker's branch from the first commit, with one file, and the request to merge it.
    fn hand_in(&self, id: &str, name: &str, file: &str, content: &str) {
        let branch = format!("polecat/{name}/{id}@x");
        self.shell(&format!(
            "cd worker && git checkout --quiet --detach $(git rev-list --max-parents=0 origin/main)
             printf '%s\\n' '{content}' >{file} && git add . && git commit --quiet -m 'by {name}' && git push --quiet origin HEAD:refs/heads/{branch}"
        ));
        let request = format!(
            "{{\n  \"ready\": [\n    {{\n      \"ID\": \"{id}-mr\",\n      \"Branch\": \"{branch}\",\n      \"Target\": \"main\",\n      \"SourceIssue\": \"{id}\",\n      \"Worker\": \"{name}\"\n    }}\n  ]\n}}\n"
        );
        fs::write(self.path(&format!("queue/{id}-mr")), request).unwrap();
    }

    fn merging(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("sh");
        command.arg("../merge.sh").arg("alice").args(arguments).current_dir(self.path("alice/refinery/rig")).stdin(Stdio::null());
        command
    }

    /// What `gt` was asked since this was last looked at, but for looks at the queue.
    fn asked(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("asked")).unwrap_or_default();
        let _ = fs::remove_file(self.path("asked"));
        text.lines().filter(|line| !line.starts_with("refinery ready")).map(str::to_owned).collect()
    }

    fn subjects(&self) -> String {
        self.shell("git --git-dir=origin.git log --format=%s main")
    }
}

#[test]
fn work_is_merged_one_after_the_other_and_a_conflict_is_handed_back() {
    let town = Town::new();
    town.hand_in("al-1", "nux", "one.md", "one");
    town.hand_in("al-2", "slit", "two.md", "two");
    town.hand_in("al-3", "toast", "one.md", "another");
    let output = town.merging(&[]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(town.subjects(), "by slit\nby nux\nfirst\n");
    assert_eq!(
        town.asked(),
        [
            "refinery claim al-1-mr",
            "mq post-merge alice al-1-mr",
            "mail send alice/witness -s MERGED nux -m Branch: polecat/nux/al-1@x, issue: al-1",
            "refinery claim al-2-mr",
            "mq post-merge alice al-2-mr",
            "mail send alice/witness -s MERGED slit -m Branch: polecat/slit/al-2@x, issue: al-2",
            "refinery claim al-3-mr",
            "mq reject alice al-3-mr --reason polecat/toast/al-3@x conflicts with main --notify",
            "mail send alice/toast -s FIX_NEEDED: al-3 -m polecat/toast/al-3@x conflicts with main.",
        ]
    );
    let detached = town.shell("cd alice/refinery/rig && git symbolic-ref --quiet HEAD || echo detached; git status --porcelain");
    assert_eq!(detached, "detached\n", "no worker is kept from main, and nothing of the conflict is left");
    assert!(town.merging(&[]).output().unwrap().status.success());
    assert!(town.asked().is_empty(), "what was refused is not looked at again");
    town.hand_in("al-4", "toast", "four.md", "four");
    assert!(town.merging(&[]).output().unwrap().status.success());
    assert_eq!(town.subjects(), "by toast\nby slit\nby nux\nfirst\n");
}

#[test]
fn it_waits_for_the_first_work_and_a_pass_that_was_broken_off_is_made_again() {
    let town = Town::new();
    let waiting = town.merging(&["wait"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    town.hand_in("al-1", "nux", "one.md", "one");
    let mut waiting = waiting;
    assert!(waiting.wait().unwrap().success());
    assert_eq!(town.subjects(), "by nux\nfirst\n");
    town.asked();

    // Pushed, and then ended before the town was told.
    town.hand_in("al-2", "slit", "two.md", "two");
    town.shell("cd worker && git fetch --quiet && git rebase --quiet origin/main && git push --quiet origin HEAD:main");
    assert!(town.merging(&[]).output().unwrap().status.success());
    assert_eq!(town.subjects(), "by slit\nby nux\nfirst\n", "merged once");
    assert_eq!(town.asked()[1], "mq post-merge alice al-2-mr");
}
