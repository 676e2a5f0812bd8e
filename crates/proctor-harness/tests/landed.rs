//! Landed clauses on real repositories: what git says decides, whatever the town says.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use proctor_harness::landed::git::{self, GITCONFIG, Git};
use proctor_harness::landed::{History, Landed, Look, Wanted};
use proctor_harness::origins::log::PushLog;
use proctor_harness::town::Snapshot;
use proctor_judge::evidence::{Push, PushKind, RigGit, Time};
use proctor_judge::plan::Clause;
use serde_json::json;

const CLAUSES: [Clause; 5] = [Clause::IssuesClosed, Clause::Merged, Clause::Pushed, Clause::NoWorkerBusy, Clause::ConvoyClosed];

struct World {
    root: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { root: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(world.path("home")).unwrap();
        std::fs::create_dir_all(world.path("tmp")).unwrap();
        std::fs::write(world.path("home/.gitconfig"), GITCONFIG).unwrap();
        let origin = world.path("origins/bob.git");
        world.git(&world.path("home"), &["init", "-q", "--bare", "-b", "main", origin.to_str().unwrap()]);
        world.git(&world.path("home"), &["clone", "-q", origin.to_str().unwrap(), world.path("clone").to_str().unwrap()]);
        world.commit("README", "first\n");
        world.clone_git(&["push", "-q", "origin", "HEAD:main"]);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn env(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("HOME".to_owned(), self.path("home").display().to_string()),
            ("TMPDIR".to_owned(), self.path("tmp").display().to_string()),
            ("GIT_CONFIG_NOSYSTEM".to_owned(), "1".to_owned()),
            ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ])
    }

    fn git(&self, cwd: &Path, args: &[&str]) -> String {
        let out = Command::new("git").args(args).current_dir(cwd).env_clear().envs(self.env()).output().unwrap();
        assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    fn clone_git(&self, args: &[&str]) -> String {
        self.git(&self.path("clone"), args)
    }

    fn commit(&self, file: &str, text: &str) -> String {
        std::fs::write(self.path("clone").join(file), text).unwrap();
        self.clone_git(&["add", "-A"]);
        self.clone_git(&["commit", "-qm", file]);
        self.clone_git(&["rev-parse", "HEAD"])
    }

    /// What Proctor's own git collects of bob's origin.
    async fn collect(&self, heads: &[String]) -> RigGit {
        let (origin, bundle, tree) = (self.path("origins/bob.git"), self.path("kept/bob.bundle"), self.path("kept/tree"));
        let git = Git::own("git".into(), &self.path("tmp"));
        let wanted = Wanted { origin: &origin, rig: "bob", target: "main", heads, branches: &[], bundle: &bundle, tree: &tree };
        git.collect(wanted).await.unwrap()
    }

    async fn look(&self, state: &Snapshot) -> Look {
        self.look_with(Path::new("git"), state).await
    }

    async fn look_with(&self, program: &Path, state: &Snapshot) -> Look {
        let git = Git::new(program.to_owned(), self.env());
        let mut landed = Landed::new(git, &self.path("origins"), History::Reflogs, "Tales", &CLAUSES);
        let inside = self.path("clone/.git");
        landed.look(state, |_| Some(inside.clone()), Time::UNIX_EPOCH).await.unwrap()
    }
}

fn state(commit: &str) -> Snapshot {
    let at = "2026-01-01T00:00:00Z";
    serde_json::from_value(json!({
        "beads": [{"id": "bo-1", "title": "t", "kind": "task", "status": "closed", "priority": 2, "assignee": null, "rig": "bob", "created_by": "mayor",
            "created_at": at, "closed_at": at, "close_reason": null, "closed_by": null, "description": ""}],
        "convoys": [{"id": "hq-cv-1", "title": "Tales", "status": "closed", "tracked": ["bo-1"], "created_at": at, "closed_at": at}],
        "mail": [],
        "merge_requests": [{"id": "mr-1", "issue": "bo-1", "rig": "bob", "branch": "polecat/x", "target": "main", "worker": "bob/polecats/x", "commit": commit,
            "status": "merged", "merge_commit": null, "created_at": at, "closed_at": null, "reason": null}],
        "agents": [], "sessions": []
    }))
    .unwrap()
}

#[tokio::test]
async fn a_commit_that_was_pushed_as_it_is_has_landed() {
    let world = World::new();
    let commit = world.commit("bob.py", "print(1)\n");
    assert!(!world.look(&state(&commit)).await.landed, "not pushed yet");
    world.clone_git(&["push", "-q", "origin", "HEAD:main"]);
    let look = world.look(&state(&commit)).await;
    assert!(look.landed, "{:?}", look.readings);
    assert_eq!(look.deliveries[0].how.as_deref(), Some("same commit"));
    assert_eq!(look.deliveries[0].own_commits, 1);
}

#[tokio::test]
async fn a_commit_that_was_merged_with_others_has_landed_with_its_own_commits() {
    let world = World::new();
    world.clone_git(&["checkout", "-qb", "polecat/x"]);
    world.commit("bob.py", "print(1)\n");
    let commit = world.commit("bob.py", "print(2)\n");
    world.clone_git(&["checkout", "-q", "--detach", "origin/main"]);
    world.commit("other", "somebody else\n");
    world.clone_git(&["push", "-q", "origin", "HEAD:main"]);
    world.clone_git(&["merge", "-q", "--no-ff", "-m", "merge", "polecat/x"]);
    world.clone_git(&["push", "-q", "origin", "HEAD:main"]);
    // Merge requests of some towns name commits by a part of their name.
    let look = world.look(&state(&commit[..10])).await;
    assert!(look.landed, "{:?}", look.readings);
    let delivery = &look.deliveries[0];
    assert_eq!(
        (delivery.own_commits, delivery.how.as_deref(), delivery.merged_as.as_ref()),
        (2, Some("same commit"), Some(&commit))
    );
}

#[tokio::test]
async fn one_git_tells_how_a_commit_stands_that_is_ahead_or_merged() {
    let world = World::new();
    let calls = world.path("calls");
    let program = world.path("counting-git");
    std::fs::write(&program, format!("#!/bin/sh\necho \"$2\" >>'{}'\nexec git \"$@\"\n", calls.display())).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    world.clone_git(&["checkout", "-qb", "polecat/x"]);
    let commit = world.commit("bob.py", "print(1)\n");
    for landed in [false, true] {
        let look = world.look_with(&program, &state(&commit)).await;
        assert_eq!((look.landed, look.deliveries[0].own_commits), (landed, 1));
        assert_eq!(std::fs::read_to_string(&calls).unwrap(), "rev-list\n", "landed: {landed}");
        std::fs::remove_file(&calls).unwrap();
        world.clone_git(&["push", "-q", "origin", "HEAD:main"]);
    }
}

#[tokio::test]
async fn an_origin_that_kept_no_heads_until_now_tells_as_much() {
    let world = World::new();
    std::fs::remove_dir_all(world.path("origins/bob.git/logs")).unwrap();
    world.clone_git(&["checkout", "-qb", "polecat/x"]);
    let commit = world.commit("bob.py", "print(1)\n");
    let look = world.look(&state(&commit)).await;
    assert_eq!((look.landed, look.deliveries[0].own_commits), (false, 1));
    world.clone_git(&["push", "-q", "origin", "HEAD:main"]);
    let look = world.look(&state(&commit)).await;
    assert_eq!((look.landed, look.deliveries[0].own_commits), (true, 1));
}

#[tokio::test]
async fn a_rebased_twin_has_landed() {
    let world = World::new();
    world.clone_git(&["checkout", "-qb", "polecat/x"]);
    let commit = world.commit("bob.py", "print(1)\n");
    world.clone_git(&["checkout", "-q", "-"]);
    world.clone_git(&["checkout", "-q", "--detach", "origin/main"]);
    world.commit("other", "somebody else\n");
    world.clone_git(&["cherry-pick", commit.as_str()]);
    world.clone_git(&["push", "-q", "origin", "HEAD:main"]);
    let look = world.look(&state(&commit)).await;
    assert!(look.landed, "{:?}", look.readings);
    assert_eq!(look.deliveries[0].how.as_deref(), Some("same change (patch id)"));
}

#[tokio::test]
async fn done_without_a_commit_is_not_merged_though_its_head_is_on_main() {
    let world = World::new();
    let head = world.clone_git(&["rev-parse", "HEAD"]);
    let look = world.look(&state(&head)).await;
    assert!(!look.landed);
    let merged = look.readings.iter().find(|r| r.clause == Clause::Merged).unwrap();
    assert!(merged.detail.contains("no commit of its own"), "{}", merged.detail);
}

#[tokio::test]
async fn main_that_moved_by_other_work_does_not_land_this_work() {
    let world = World::new();
    world.clone_git(&["checkout", "-qb", "polecat/x"]);
    let commit = world.commit("bob.py", "print(1)\n");
    world.clone_git(&["checkout", "-q", "--detach", "origin/main"]);
    world.commit("bob.py", "print(2)\n");
    world.clone_git(&["push", "-q", "origin", "HEAD:main"]);
    let look = world.look(&state(&commit)).await;
    assert!(!look.deliveries[0].merged);
    assert_eq!(look.readings.iter().find(|r| r.clause == Clause::Pushed).unwrap().now, "0/1");
}

#[tokio::test]
async fn work_that_does_not_merge_names_the_files_and_nothing_is_written_to_find_out() {
    let world = World::new();
    world.clone_git(&["checkout", "-qb", "polecat/x"]);
    world.commit("mine.py", "print(1)\n");
    let commit = world.commit("bob.py", "print(1)\n");
    assert!(world.look(&state(&commit)).await.deliveries[0].conflicts.is_empty());
    world.clone_git(&["checkout", "-q", "--detach", "origin/main"]);
    world.commit("bob.py", "print(2)\n");
    world.clone_git(&["push", "-q", "origin", "HEAD:main"]);
    let origin = world.path("origins/bob.git");
    let count = || world.git(&origin, &["count-objects", "-v"]);
    let before = count();
    assert_eq!(world.look(&state(&commit)).await.deliveries[0].conflicts, ["bob.py"]);
    assert_eq!(count(), before);
}

#[tokio::test]
async fn a_rewound_main_has_lost_what_had_landed_and_names_the_head() {
    let world = World::new();
    let commit = world.commit("bob.py", "print(1)\n");
    world.clone_git(&["push", "-q", "origin", "HEAD:main"]);
    assert!(world.look(&state(&commit)).await.landed);
    world.clone_git(&["push", "-qf", "origin", "HEAD~1:main"]);
    assert!(!world.look(&state(&commit)).await.landed);
    let heads = git::heads(&world.path("origins/bob.git"), "main");
    let rig = world.collect(&heads).await;
    assert_eq!(rig.rewound, [commit]);
    assert_eq!(rig.files.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), ["README"]);
}

fn push(refname: &str, from: Option<&str>, to: Option<&str>, kind: PushKind) -> Push {
    Push {
        at: Time::UNIX_EPOCH,
        agent: "bob/polecats/x".into(),
        rig: "bob".into(),
        refname: refname.into(),
        from: from.map(str::to_owned),
        to: to.map(str::to_owned),
        kind,
        refused: None,
        address: String::new(),
        sender: None,
    }
}

/// The state of a town whose worker merges by itself: there is no merge request.
fn merging_directly() -> Snapshot {
    let mut state = state("");
    state.merge_requests.clear();
    state.sessions = serde_json::from_value(
        json!([{"session": "bo-x", "run_id": "r", "agent": "bob/polecats/x", "role": "polecat", "rig": "bob",
        "pid": 7, "command": [], "started_at": "1970-01-01T00:00:00Z", "ended_at": null, "exit": null, "issue": "bo-1",
        "branch": "polecat/x", "transcript": null, "leftovers": []}]),
    )
    .unwrap();
    state
}

impl World {
    fn served(&self) -> Landed {
        let git = Git::own("git".into(), &self.path("tmp"));
        Landed::new(git, &self.path("origins"), History::Log(PushLog::default()), "Tales", &CLAUSES)
    }
}

#[tokio::test]
async fn what_a_worker_pushed_to_main_by_itself_is_its_delivery() {
    for keeps_its_branch in [true, false] {
        let world = World::new();
        let seed = world.clone_git(&["rev-parse", "HEAD"]);
        let commit = world.commit("bob.py", "print(1)\n");
        let (mut landed, state, inside) = (world.served(), merging_directly(), world.path("clone/.git"));
        if keeps_its_branch {
            world.clone_git(&["branch", "polecat/x"]);
        }
        landed.pushed(push("refs/heads/main", None, Some(&seed), PushKind::Created));
        let look = landed.look(&state, |_| Some(inside.clone()), Time::UNIX_EPOCH).await.unwrap();
        assert!(!look.landed, "nothing was pushed yet");
        world.clone_git(&["push", "-q", "origin", "HEAD:main"]);
        landed.pushed(push("refs/heads/main", Some(&seed), Some(&commit), PushKind::Updated));
        let look = landed.look(&state, |_| Some(inside.clone()), Time::UNIX_EPOCH).await.unwrap();
        assert!(look.landed, "{:?}", look.readings);
        assert_eq!((look.deliveries[0].merged_as.as_ref(), look.deliveries[0].own_commits), (Some(&commit), 1));
    }
}

#[tokio::test]
async fn another_push_of_a_workers_is_not_the_work_on_its_branch() {
    let world = World::new();
    let seed = world.clone_git(&["rev-parse", "HEAD"]);
    let rival = world.commit("rival", "somebody else's\n");
    world.clone_git(&["push", "-q", "origin", "HEAD:main"]);
    let work = world.commit("bob.py", "print(1)\n");
    world.clone_git(&["branch", "polecat/x"]);
    let mut landed = world.served();
    landed.pushed(push("refs/heads/main", None, Some(&seed), PushKind::Created));
    landed.pushed(push("refs/heads/main", Some(&seed), Some(&rival), PushKind::Updated));
    let inside = world.path("clone/.git");
    let look = landed.look(&merging_directly(), |_| Some(inside.clone()), Time::UNIX_EPOCH).await.unwrap();
    assert_eq!((look.landed, look.deliveries[0].submitted.as_ref()), (false, Some(&work)));
}

#[tokio::test]
async fn what_is_no_name_of_a_commit_never_reaches_git() {
    let world = World::new();
    let victim = world.path("victim");
    std::fs::write(&victim, "kept").unwrap();
    let option = format!("--output={}", victim.display());
    world.look(&state(&option)).await;
    let log = world.path("origins/bob.git/logs/refs/heads/main");
    std::fs::create_dir_all(log.parent().unwrap()).unwrap();
    std::fs::write(&log, format!("{option} {option} x <x> 0 +0\tpush\n")).unwrap();
    let commit = world.commit("bob.py", "print(1)\n");
    world.look(&state(&commit)).await;
    // As the head of the worker's branch.
    let inside = world.path("clone/.git/refs/heads/polecat");
    std::fs::create_dir_all(&inside).unwrap();
    std::fs::write(inside.join("x"), format!("{option}\n")).unwrap();
    world.look(&merging_directly()).await;
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "kept");
}

#[tokio::test]
async fn where_origins_are_served_the_log_of_pushes_says_what_was_and_the_town_is_not_read() {
    let world = World::new();
    let seed = world.clone_git(&["rev-parse", "HEAD"]);
    let commit = world.commit("bob.py", "print(1)\n");
    let mut landed = world.served();
    let inside = world.path("clone/.git");
    let mut state = state(&commit);
    state.merge_requests[0].commit = None;
    // The branch is in the town's own repository, and was never pushed.
    world.clone_git(&["branch", "polecat/x"]);
    let look = landed.look(&state, |_| Some(inside.clone()), Time::UNIX_EPOCH).await.unwrap();
    assert!(!look.landed);
    assert_eq!((look.deliveries[0].submitted.as_ref(), look.deliveries[0].own_commits), (Some(&commit), 0), "no object is read");
    landed.pushed(push("refs/heads/polecat/x", None, Some(&commit), PushKind::Created));
    landed.pushed(push("refs/heads/main", Some(&seed), Some(&commit), PushKind::Updated));
    landed.pushed(push("refs/heads/polecat/x", Some(&commit), None, PushKind::Deleted));
    world.clone_git(&["push", "-q", "origin", "HEAD:main"]);
    let look = landed.look(&state, |_| Some(inside.clone()), Time::UNIX_EPOCH).await.unwrap();
    assert!(look.landed, "{:?}", look.readings);
    assert_eq!(look.deliveries[0].own_commits, 1);
    assert_eq!(landed.heads("bob"), [seed, commit]);
}

#[tokio::test]
async fn what_is_kept_is_what_was_merged_byte_for_byte() {
    let world = World::new();
    let clone = world.path("clone");
    let odd = "new\nline \u{1}.txt";
    for (name, text) in [
        (".gitattributes", "*.txt text eol=crlf ident filter=evil working-tree-encoding=UTF-16\n"),
        ("a.txt", "$Id$\none\ntwo\n"),
        (odd, "odd\n"),
        ("sub/deep/x", "x\n"),
    ] {
        std::fs::create_dir_all(clone.join(name).parent().unwrap()).unwrap();
        std::fs::write(clone.join(name), text).unwrap();
    }
    std::os::unix::fs::symlink("a.txt", clone.join("inside")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", clone.join("outside")).unwrap();
    world.clone_git(&["-c", "core.autocrlf=false", "add", ".gitattributes", "sub", "inside", "outside"]);
    for name in ["a.txt", odd] {
        let blob = world.clone_git(&["hash-object", "-w", "--no-filters", name]);
        world.clone_git(&["update-index", "--add", "--cacheinfo", &format!("100644,{blob},{name}")]);
    }
    world.clone_git(&["commit", "-qm", "a subject \u{1} with \u{2} separators"]);
    // A replacement that only whoever asks for replacements sees.
    let (bad, good) = (world.clone_git(&["rev-parse", "HEAD:sub/deep/x"]), world.clone_git(&["rev-parse", "HEAD:a.txt"]));
    world.clone_git(&["push", "-q", "origin", "HEAD:main"]);
    world.git(&world.path("origins/bob.git"), &["update-ref", &format!("refs/replace/{bad}"), &good]);

    let rig = world.collect(&[]).await;
    let tree = world.path("kept/tree");
    assert_eq!(std::fs::read_to_string(tree.join("a.txt")).unwrap(), "$Id$\none\ntwo\n");
    assert_eq!(std::fs::read_to_string(tree.join(odd)).unwrap(), "odd\n");
    assert_eq!(std::fs::read_to_string(tree.join("sub/deep/x")).unwrap(), "x\n");
    let file = |path: &str| rig.files.iter().find(|file| file.path == path).unwrap();
    assert_eq!((file("inside").link.as_deref(), file("inside").not_kept.as_deref()), (Some("a.txt"), None));
    assert!(file("outside").not_kept.as_deref().unwrap().contains("leaves the repository"));
    assert!(!tree.join("inside").exists() && tree.join("outside").symlink_metadata().is_err(), "no link is made");
    assert_eq!(rig.commits[0].subject, "a subject \u{1} with \u{2} separators");
    assert!(rig.commits[0].files.contains(&odd.to_owned()) && rig.commits.len() == 2 && rig.cut.is_empty());

    let work = world.path("work");
    Git::own("git".into(), &world.path("tmp")).clone_bundle(&world.path("kept/bob.bundle"), "main", &work).await.unwrap();
    assert_eq!(std::fs::read_to_string(work.join("a.txt")).unwrap(), "$Id$\none\ntwo\n");
    assert_eq!(std::fs::read_to_string(work.join("inside")).unwrap(), "$Id$\none\ntwo\n");
    assert!(work.join("outside").symlink_metadata().is_err());
}

#[tokio::test]
async fn names_that_no_file_can_have_are_named_and_the_rest_is_kept() {
    let world = World::new();
    let origin = world.path("origins/bob.git");
    let blob = world.git(&origin, &["rev-parse", "main:README"]);
    let id: Vec<u8> = (0..20).map(|at| u8::from_str_radix(&blob[2 * at..2 * at + 2], 16).unwrap()).collect();
    let long = vec![b'x'; 300];
    let names: [&[u8]; 6] = [b"..", b".git", b"good", b"g\xffod", &long, b"good/x"];
    let tree: Vec<u8> = names.iter().flat_map(|name| [b"100644 ", *name, b"\0", &id].concat()).collect();
    std::fs::write(world.path("tree"), tree).unwrap();
    let tree = world.path("tree").display().to_string();
    let tree = world.git(&origin, &["hash-object", "-w", "-t", "tree", "--literally", &tree]);
    let commit = world.git(&origin, &["commit-tree", &tree, "-m", "odd"]);
    world.git(&origin, &["update-ref", "refs/heads/main", &commit]);
    let rig = world.collect(&[]).await;
    let kept: Vec<(&str, bool)> = rig.files.iter().map(|file| (file.path.as_str(), file.not_kept.is_none())).collect();
    let long = "x".repeat(300);
    let wanted = [("..", false), (".git", false), ("good", true), ("g\\xffod", false), (long.as_str(), false), ("good/x", false)];
    assert_eq!(kept, wanted);
    assert_eq!(std::fs::read_dir(world.path("kept/tree")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_tree_without_end_is_read_up_to_a_limit() {
    let world = World::new();
    let origin = world.path("origins/bob.git");
    let blob = world.git(&origin, &["rev-parse", "main:README"]);
    let list = |kind: &str, id: &str| (0..10).map(|n| format!("{kind} {id}\tn{n}\n")).collect::<String>();
    let make = |list: String| {
        std::fs::write(world.path("list"), list).unwrap();
        let text = format!("git mktree < {}", world.path("list").display());
        let out = Command::new("sh").args(["-c", &text]).current_dir(&origin).env_clear().envs(world.env()).output().unwrap();
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    };
    let mut tree = make(list("100644 blob", &blob));
    for _ in 0..8 {
        tree = make(list("040000 tree", &tree));
    }
    let commit = world.git(&origin, &["commit-tree", &tree, "-m", "ten to the ninth"]);
    world.git(&origin, &["update-ref", "refs/heads/main", &commit]);
    let rig = world.collect(&[]).await;
    assert!(rig.cut.iter().any(|cut| cut.contains("more than 100000 entries")), "{:?}", rig.cut);
    assert!(rig.files.len() > 80_000 && rig.files.len() < 100_000);
}

#[tokio::test]
async fn work_is_known_to_be_merged_though_nobody_made_the_convoy() {
    let world = World::new();
    let commit = world.commit("bob.py", "print(1)\n");
    world.clone_git(&["push", "-q", "origin", "HEAD:main"]);
    let without = Snapshot { convoys: Vec::new(), ..state(&commit) };
    let mut landed =
        Landed::new(Git::new("git".into(), world.env()), &world.path("origins"), History::Reflogs, "Tales", &CLAUSES);
    let deliveries = landed.deliveries(&without, |_| None).await.unwrap();
    assert_eq!(deliveries.iter().map(|d| (d.issue.as_str(), d.merged)).collect::<Vec<_>>(), [("bo-1", true)]);
}

#[tokio::test]
async fn without_a_convoy_nothing_has_landed() {
    let world = World::new();
    let look = world.look(&Snapshot::default()).await;
    assert!(!look.landed);
    assert_eq!(look.readings[0].now, "no convoy");
}

#[tokio::test]
async fn a_clone_to_work_in_is_small_and_whole() {
    let world = World::new();
    world.commit("bob.py", "print(1)\n");
    world.clone_git(&["push", "-q", "origin", "HEAD:main", "HEAD:polecat/x"]);
    let (bundle, work) = (world.path("bob.bundle"), world.path("work"));
    world.git(&world.path("origins/bob.git"), &["bundle", "create", "-q", bundle.to_str().unwrap(), "--all"]);
    Git::new("git".into(), world.env()).clone_bundle(&bundle, "main", &work).await.unwrap();

    let files = std::fs::read_dir(work.join(".git")).unwrap().flatten();
    let mut names: Vec<String> = files.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["HEAD", "config", "index", "objects", "packed-refs", "refs"]);
    assert_eq!(std::fs::read_dir(work.join(".git/refs")).unwrap().count(), 0, "all are packed");

    let git = |args: &[&str]| world.git(&work, args);
    assert_eq!(git(&["status", "--porcelain"]), "");
    assert_eq!(git(&["log", "--format=%s", "origin/polecat/x"]), "bob.py\nREADME");
    std::fs::write(work.join("more"), "more\n").unwrap();
    git(&["checkout", "-qb", "more"]);
    git(&["add", "-A"]);
    git(&["commit", "-qm", "more"]);
    assert_eq!(git(&["log", "-1", "--format=%s"]), "more");
}
