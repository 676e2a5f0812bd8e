//! Disks that are full or cannot be written, made with mounts of the test's own. Where the system allows none, the test is skipped.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::mini::Mini;
use crate::sandbox::{Ran, Sandbox, assert_nothing_left, copy_folder, picture};

/// Whether this user may make mounts in a name space of its own.
fn can_mount() -> bool {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs none /mnt"]);
    let can = command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !can {
        eprintln!("skipped: unshare with mounts not found");
    }
    can
}

/// Runs `command` where `mounts` (shell text; `$1` is `folder`) were made, and then `afterwards`.
fn run_with(mounts: &str, folder: &Path, command: &Command, afterwards: &str) -> Ran {
    let script = format!("set -e; {mounts}; folder=$1; shift; set +e; \"$@\"; code=$?; {afterwards}\nexit $code");
    let mut outer = Command::new("unshare");
    outer.args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"]).arg(folder);
    outer.arg(command.get_program()).args(command.get_args()).env_clear().stdin(Stdio::null());
    outer.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    Ran::of(outer.current_dir(command.get_current_dir().unwrap()).output().unwrap())
}

#[test]
fn a_full_disk_below_the_town_is_an_environment_error() {
    if !can_mount() {
        return;
    }
    let sandbox = Sandbox::new();
    let command = Mini::new(&sandbox).run(&[]);
    let mounts = "mount -t tmpfs -o size=96k none \"$1\"";
    let ran = run_with(mounts, &sandbox.cache(), &command, "ls -A \"$folder/proctor/runs\"").expect_code(102);
    assert!(ran.stdout.contains("disk is full") && ran.stdout.contains("proctor clean"), "{}", ran.stdout);
    assert_eq!(sandbox.summary()["outcome"], "environment_error");
    assert_eq!(ran.stdout.lines().last().map(str::trim_start).and_then(|line| line.get(..4)), Some("repe"), "nothing is left");
}

#[test]
fn a_disk_that_fills_up_while_agents_work_is_no_failure_of_theirs() {
    if !can_mount() {
        return;
    }
    let sandbox = Sandbox::new();
    let reports = sandbox.work().join("disk");
    fs::create_dir(&reports).unwrap();
    let fill = format!("dd if=/dev/zero of={}/fill bs=4k 2>/dev/null; sleep 600", reports.display());
    // Inside a fence no agent reaches the reports; here it stands for whoever fills the disk.
    let command = Mini::new(&sandbox).worker_first(&fill).run(&["--reports", "disk", "--fence", "off"]);
    let kept = sandbox.work().join("kept");
    let afterwards = format!("cp \"$folder/latest/summary.json\" {}", kept.display());
    let ran = run_with("mount -t tmpfs -o size=8m none \"$1\"", &reports, &command, &afterwards).expect_code(102);
    assert!(ran.stdout.contains("disk is full") && ran.stdout.contains("proctor clean"), "{}", ran.stdout);
    let summary: serde_json::Value = serde_json::from_slice(&fs::read(kept).unwrap()).unwrap();
    assert_eq!(summary["outcome"], "environment_error", "the summary is written all the same");
    assert_nothing_left(&sandbox);
}

#[test]
fn a_cache_that_cannot_be_written_is_an_environment_error_with_reports() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work().join("file"), "").unwrap();
    let mut command = Mini::new(&sandbox).run(&[]);
    command.env("XDG_CACHE_HOME", sandbox.work().join("file"));
    let ran = Ran::of(command.output().unwrap()).expect_code(102);
    assert!(ran.stdout.contains("work/file/proctor") && ran.stdout.contains("XDG_CACHE_HOME"), "{}", ran.stdout);
    assert_eq!(sandbox.summary()["outcome"], "environment_error");
}

#[test]
fn disks_that_are_read_only_are_named_with_what_to_do() {
    if !can_mount() {
        return;
    }
    let mounts = "mount -t tmpfs -o ro none \"$1\"";
    let sandbox = Sandbox::new();
    let mini = Mini::new(&sandbox);
    let ran = run_with(mounts, &sandbox.cache(), &mini.run(&[]), "").expect_code(102);
    assert!(ran.stdout.contains("Read-only file system") && ran.stdout.contains("XDG_CACHE_HOME"), "{}", ran.stdout);
    assert_eq!(sandbox.summary()["outcome"], "environment_error");
    let reports = sandbox.work().join("disk");
    fs::create_dir(&reports).unwrap();
    let ran = run_with(mounts, &reports, &mini.run(&["--reports", "disk"]), "").expect_code(102);
    assert!(ran.stderr.contains("Read-only file system") && ran.stderr.contains("--reports DIR"), "{}", ran.stderr);
    assert_nothing_left(&sandbox);
}

#[test]
fn a_run_moved_to_a_read_only_disk_is_judged_to_the_same_bytes() {
    let sandbox = Sandbox::new();
    Ran::of(Mini::new(&sandbox).run(&[]).output().unwrap()).expect_code(0);
    let archive = sandbox.work().join("../archive");
    copy_folder(&sandbox.report(), &archive);
    fs::remove_dir_all(sandbox.work().join("reports")).unwrap();
    let archive = archive.canonicalize().unwrap();
    let before = picture(&archive);
    let name = archive.to_str().unwrap();

    let again = sandbox.run(&["judge", name, "--no-write", "--json"]).expect_code(0);
    assert_eq!(again.stdout.as_bytes(), before[&archive.join("summary.json")]);
    assert_eq!(picture(&archive), before, "judging without writing changes nothing");

    sandbox.run(&["judge", name]).expect_code(0);
    assert_eq!(picture(&archive), before, "every report is made again, byte by byte");

    if can_mount() {
        let mounts = "mount --bind \"$1\" \"$1\"; mount -o remount,bind,ro \"$1\"";
        let judge = |args: &[&str]| run_with(mounts, &archive, &sandbox.proctor(&[&["judge", name], args].concat()), "");
        let again = judge(&["--no-write", "--json"]).expect_code(0);
        assert_eq!(again.stdout.as_bytes(), before[&archive.join("summary.json")]);
        let refused = judge(&[]).expect_code(102);
        assert!(refused.stdout.contains("PASSED"), "the verdict is shown all the same: {}", refused.stdout);
        assert!(refused.stderr.contains("hint: ") && refused.stderr.contains("--no-write"), "{}", refused.stderr);
    }
}

#[test]
fn a_run_writes_nothing_but_its_folder_and_the_cache() {
    let sandbox = Sandbox::new();
    let command = Mini::new(&sandbox).run(&[]);
    let outside = || {
        let mut all = picture(&sandbox.work().join("..").canonicalize().unwrap());
        all.retain(|path, _| !path.starts_with(sandbox.work().join("reports")) && !path.starts_with(sandbox.cache()));
        all
    };
    let before = outside();
    let ran = if can_mount() {
        // Nothing else can be written, so that writing elsewhere would fail instead of being overlooked.
        let writable =
            format!("for m in '{}' '{}'; do mount --bind $m $m; done", sandbox.work().display(), sandbox.cache().display());
        let rest = "for m in $(cut -d' ' -f2 /proc/self/mounts | sort -u); do case $m in /proc*|/sys*|/dev*) ;; *) mount -o remount,bind,ro $m || true ;; esac; done";
        let again = format!(
            "mount -o remount,bind,rw '{}'; mount -o remount,bind,rw '{}'",
            sandbox.work().display(),
            sandbox.cache().display()
        );
        run_with(&format!("{writable}; {rest}; {again}; ! touch /tmp/x 2>/dev/null"), &sandbox.work(), &command, "")
    } else {
        let mut command = command;
        Ran::of(command.output().unwrap())
    };
    ran.expect_code(0);
    assert_eq!(outside().keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    assert!(outside() == before, "a file outside was changed");
    assert_nothing_left(&sandbox);
}
