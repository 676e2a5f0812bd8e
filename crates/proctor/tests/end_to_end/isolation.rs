//! A deliverable that tries to reach out of its step, on the real fence.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use proctor_harness::cycle::Cancel;
use proctor_harness::exercise::{Again, again};
use proctor_harness::scenario::{Files, load};
use proctor_judge::evidence::{ExerciseRecord, FenceMode, StepRecord, Time};

use crate::mini::any_python;

const SPEC: &str = r#"
schema = 1
name = "t"
title = "T"
convoy = "C"
[[rig]]
name = "north"
[[rig]]
name = "south"
[runtime]
kind = "python"
[[exercise]]
name = "one"
title = "one"
[[exercise.step]]
name = "make"
checker = ["make.py"]
[[exercise.step]]
name = "probe"
subject = ["north", "probe.py", "PORT"]
[[exercise.step]]
name = "again"
subject = ["north", "probe.py", "PORT"]
[[exercise.step]]
name = "daemon"
subject = ["north", "daemon.py"]
[[exercise.step]]
name = "look"
checker = ["look.py"]
[[exercise]]
name = "two"
title = "two"
after = "one"
[[exercise.step]]
name = "probe"
subject = ["north", "probe.py", "PORT"]
"#;

/// Says what it sees and what it could do; each line is the same wherever it runs.
const PROBE: &str = r#"
import glob, os, pathlib, resource, signal, socket

def can(what, act):
    try:
        act()
        print("CAN", what)
    except (OSError, ValueError) as error:
        print("cannot", what)

here = pathlib.Path(__file__)
print("place", here, os.getcwd(), os.environ["HOME"], os.environ["TMPDIR"])
print("variables", sorted(os.environ.items()))
print("empty", os.listdir(os.environ["HOME"]), os.listdir(os.environ["TMPDIR"]))
for folder in (os.environ["HOME"], os.environ["TMPDIR"]):
    pathlib.Path(folder, "left").write_text("x")
can("write a clone", lambda: open(here, "a"))
can("write another's clone", lambda: open(os.environ["PROCTOR_REPO_SOUTH"] + "/x", "w"))
can("read the checks", lambda: open(here.parents[2] / "checks/make.py").read())
can("change the interpreter", lambda: open(os.path.realpath(os.sys.executable), "a"))
can("change its environment", lambda: open(os.sys.executable + "x", "w"))
can("write elsewhere", lambda: open("/var/tmp/../x", "w"))
can("open a socket", lambda: socket.create_connection(("127.0.0.1", int(os.sys.argv[1])), 1))
known = [pathlib.Path(p).read_bytes() for p in glob.glob("/proc/[0-9]*/cmdline")]
print("sees checkers", any(b"make.py" in line or b"CHECKS" in line for line in known))
"#;

const DAEMON: &str = r#"
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.chdir("/")
        for fd in (0, 1, 2): os.close(fd)
        os.execve("/bin/sleep", ["sleep", "611"], {})
    os._exit(0)
os.wait()
time.sleep(0.3)
os.mkfifo("pipe")
print("left")
"#;

fn git(cwd: &Path, args: &[&str]) {
    let done =
        Command::new("git").args(["-c", "user.name=t", "-c", "user.email=t@t"]).args(args).current_dir(cwd).output().unwrap();
    assert!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

fn merged(root: &Path, rig: &str, files: &[(&str, &str)]) {
    let repo = root.join(rig);
    git(root, &["init", "-q", "-b", "main", rig]);
    for (name, text) in files {
        std::fs::write(repo.join(name), text).unwrap();
    }
    git(&repo, &["add", "-A"]);
    git(&repo, &["commit", "-qm", rig]);
    let bundle = root.join(format!("evidence/git/{rig}.bundle")).display().to_string();
    git(&repo, &["bundle", "create", "-q", &bundle, "--all"]);
}

fn run(name: &str) -> Option<ExerciseRecord> {
    let Some(python) = any_python() else {
        eprintln!("skipped: python3 not found");
        return None;
    };
    let support = proctor_fence::support();
    if support.landlock < 6 || !support.namespaces {
        eprintln!("skipped: namespaces not found");
        return None;
    }
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("evidence/git")).unwrap();
    merged(root.path(), "north", &[("probe.py", PROBE), ("daemon.py", DAEMON)]);
    merged(root.path(), "south", &[("p.py", "print('honest')\n")]);
    // Somebody listens, so that it is the fence that refuses.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let spec = SPEC.replace("PORT", &listener.local_addr().unwrap().port().to_string());
    let files = [
        ("scenario.toml", spec.as_str()),
        ("prompt.md", "do it"),
        ("script/mayor.toml", ""),
        ("checks/make.py", "import known; open('riddle', 'w').write('r'); print('fact want=' + known.WANT)"),
        ("checks/known.py", "WANT = 'cipher'"),
        ("checks/look.py", "import os; print('fact files=' + ' '.join(sorted(os.listdir('.'))))"),
    ];
    let map = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    let scenario = load(&Files::new("t", map)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let environment =
        BTreeMap::from([("PATH".to_owned(), path), ("HOME".to_owned(), root.path().join("home").display().to_string())]);
    let request = Again {
        scenario: &scenario,
        evidence: &root.path().join("evidence"),
        cache: &root.path().join("cache"),
        python: Some(Path::new(&python)),
        environment: &environment,
        work: root.path().join("work"),
        fence: FenceMode::On,
        proctor: env!("CARGO_BIN_EXE_proctor").into(),
        secret: "s".into(),
        clock: Arc::new(|| Time::UNIX_EPOCH),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    Some(runtime.block_on(again(request, name, &Cancel::new())).unwrap())
}

fn step<'a>(record: &'a ExerciseRecord, name: &str) -> &'a StepRecord {
    record.steps.iter().find(|step| step.name == name).unwrap_or_else(|| panic!("no {name} in {record:#?}"))
}

#[test]
fn a_step_reaches_nothing_but_its_own_and_cannot_tell_where_it_is() {
    let Some(one) = run("one") else { return };
    let probe = step(&one, "probe");
    assert_eq!(probe.exit, Some(0), "{}", probe.stderr);
    assert!(!probe.stdout.contains("CAN "), "{}", probe.stdout);
    assert_eq!(probe.stdout.matches("cannot ").count(), 7, "{}", probe.stdout);
    assert!(probe.stdout.contains("empty [] []") && probe.stdout.contains("sees checkers False"), "{}", probe.stdout);
    assert!(!probe.refused.is_empty(), "what was refused is in the record");
    assert_eq!(step(&one, "make").facts.get("want").map(String::as_str), Some("cipher"), "a checker finds its neighbours");

    // The next step, and the same step of another exercise, see the same.
    assert_eq!(step(&one, "again").stdout, probe.stdout);
    let Some(two) = run("two") else { return };
    let same = |text: &str| text.lines().filter(|line| !line.contains("socket")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(same(&step(&two, "probe").stdout), same(&probe.stdout));
}

#[test]
fn what_a_step_leaves_behind_is_ended_and_named_and_odd_files_are_not_brought_along() {
    let Some(two) = run("two") else { return };
    let skipped = two.not_brought.get("one").unwrap();
    assert_eq!((skipped.count, skipped.files[0].path.as_str(), skipped.files[0].why.as_str()), (1, "pipe", "a FIFO"));
    let Some(one) = run("one") else { return };
    let daemon = step(&one, "daemon");
    assert_eq!(daemon.stdout, "left\n", "{}", daemon.stderr);
    assert!(daemon.left_behind.iter().any(|command| command.contains("sleep 611")), "{:?}", daemon.left_behind);
    assert_eq!(daemon.skipped.files[0].path, "pipe");
    assert_eq!(step(&one, "look").facts.get("files").map(String::as_str), Some("pipe riddle"));
}
