//! The operator's machine: whatever shell, service or terminal Proctor is started from, a run comes out the same.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::gate::Gate;
use crate::mini::{Mini, any_python};
use crate::sandbox::{Ran, Running, Sandbox, assert_nothing_left};

/// `run` started by a Python program that does something to itself first.
fn started_by(run: &Command, does: &str) -> Option<Command> {
    let python = any_python()?;
    let mut command = Command::new(python);
    let code = format!("import os, resource, signal, sys\n{does}\nos.execv(sys.argv[1], sys.argv[1:])\n");
    command.arg("-c").arg(code).arg(run.get_program()).args(run.get_args()).env_clear();
    command.envs(run.get_envs().filter_map(|(key, value)| Some((key, value?))));
    command.current_dir(run.get_current_dir().unwrap());
    Some(command)
}

/// Runs the smallest scenario started so, and expects it to pass and to leave nothing.
#[track_caller]
fn passes_when(does: &str) {
    let sandbox = Sandbox::new();
    let Some(mut command) = started_by(&Mini::new(&sandbox).run(&[]), does) else {
        eprintln!("skipped: python3 not found");
        return;
    };
    Ran::of(command.output().unwrap()).expect_code(0);
    assert_nothing_left(&sandbox);
}

#[test]
fn signals_that_the_parent_ignores_or_blocks_change_nothing() {
    passes_when("signal.signal(signal.SIGCHLD, signal.SIG_IGN)");
    passes_when("for s in (signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM, signal.SIGTTOU): signal.signal(s, signal.SIG_IGN)");
    passes_when("signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())");
}

/// Signals 32 and 33, which C's library keeps for itself and lets nobody set.
const OF_THE_LIBRARY: u64 = 0b11 << 31;

#[test]
fn what_is_started_gets_every_signal_as_a_program_expects_it() {
    let sandbox = Sandbox::new();
    let ignored = "for s in (signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1, signal.SIGQUIT): signal.signal(s, signal.SIG_IGN)";
    let blocked = "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2, signal.SIGTERM])";
    let mini = Mini::new(&sandbox).worker_first("grep -E '^Sig(Ign|Blk)' /proc/self/status > greeting.txt; cat greeting.txt >&2");
    let mini =
        mini.replacing("script/polecat.toml", "echo 'Hello from the worker.' > greeting.txt", "echo Hello >> greeting.txt");
    for fence in ["on", "off"] {
        let Some(mut command) = started_by(&mini.run(&["--fence", fence]), &format!("{ignored}\n{blocked}")) else {
            eprintln!("skipped: python3 not found");
            return;
        };
        Ran::of(command.output().unwrap()).expect_code(0);
        let seen = fs::read_to_string(sandbox.report().join("evidence/git/hello/tree/greeting.txt")).unwrap();
        for line in seen.lines().filter(|line| line.starts_with("Sig")) {
            let signals = u64::from_str_radix(line.rsplit('\t').next().unwrap(), 16).unwrap();
            assert_eq!(signals & !OF_THE_LIBRARY, 0, "fence {fence}: {seen}");
        }
        assert!(seen.contains("SigIgn") && seen.contains("SigBlk"), "{seen}");
    }
}

#[test]
fn below_nohup_the_end_of_the_terminal_ends_nothing() {
    let sandbox = Sandbox::new();
    let gate = Gate::at(sandbox.work().join("../gate"));
    let run = Mini::new(&sandbox).worker_waits(&gate).run(&[]);
    let Some(mut command) = started_by(&run, "signal.signal(signal.SIGHUP, signal.SIG_IGN)") else {
        eprintln!("skipped: python3 not found");
        return;
    };
    let running = Running::start(&mut command);
    let held = gate.reached();
    running.signal(rustix::process::Signal::HUP);
    drop(held);
    running.end().expect_code(0);
}

#[test]
fn closed_streams_and_an_odd_umask_change_nothing() {
    passes_when("os.close(0)");
    passes_when("os.close(0); os.close(1); os.close(2)");
    passes_when("os.umask(0o777)");
    passes_when("os.umask(0)");
}

#[test]
fn the_umask_of_agents_and_deliverables_is_nobodys_own() {
    for mask in ["0", "0o027", "0o777"] {
        let sandbox = Sandbox::new();
        let mini = Mini::new(&sandbox).worker_first("umask > greeting.txt");
        let mini =
            mini.replacing("script/polecat.toml", "echo 'Hello from the worker.' > greeting.txt", "echo Hello >> greeting.txt");
        let Some(mut command) = started_by(&mini.run(&[]), &format!("os.umask({mask})")) else {
            eprintln!("skipped: python3 not found");
            return;
        };
        Ran::of(command.output().unwrap()).expect_code(0);
        let seen = fs::read_to_string(sandbox.report().join("evidence/git/hello/tree/greeting.txt")).unwrap();
        assert_eq!(seen, "0022\nHello\n", "{mask}");
    }
}

#[test]
fn a_current_folder_that_is_gone_is_said() {
    let sandbox = Sandbox::new();
    let run = Mini::new(&sandbox).run(&[]);
    let Some(mut command) = started_by(&run, "os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')") else {
        eprintln!("skipped: python3 not found");
        return;
    };
    let ran = Ran::of(command.output().unwrap()).expect_code(102);
    assert!(ran.stderr.contains("the current folder cannot be used") && ran.stderr.contains("hint: "), "{}", ran.stderr);
}

#[test]
fn what_lies_in_the_current_folder_is_not_taken_for_a_library() {
    let sandbox = Sandbox::new();
    for name in ["json.py", "platform.py", "re.py", "sitecustomize.py"] {
        fs::write(sandbox.work().join(name), "raise SystemExit('taken from the current folder')\n").unwrap();
    }
    fs::write(sandbox.work().join(".git"), "gitdir: /nowhere\n").unwrap();
    let exercise =
        "[runtime]\n[[exercise]]\nname = \"e\"\ntitle = \"E\"\n[[exercise.step]]\nname = \"s\"\nchecker = [\"look.py\"]\n";
    let mini = Mini::new(&sandbox).with(exercise).file("checks/look.py", "import json\n");
    Ran::of(mini.run(&[]).output().unwrap()).expect_code(0);
}

/// Descriptors that a process may open: `soft`, then `hard`.
fn with_descriptors(soft: u32, hard: u32) -> String {
    format!("resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))")
}

#[test]
fn a_low_limit_of_descriptors_is_raised_and_one_that_is_too_low_is_said() {
    passes_when(&with_descriptors(20, 4096));
    for hard in [16, 24, 40, 64, 100, 159] {
        let sandbox = Sandbox::new();
        let Some(mut command) = started_by(&Mini::new(&sandbox).run(&[]), &with_descriptors(hard, hard)) else {
            eprintln!("skipped: python3 not found");
            return;
        };
        let ran = Ran::of(command.output().unwrap()).expect_code(102);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains(&format!("{hard} files")) && said.contains("ulimit -n"), "{hard}: {said}");
        assert_nothing_left(&sandbox);
    }
    passes_when(&with_descriptors(160, 160));
}

/// The smallest scenario with an exercise, so that every part of a run takes part.
fn with_exercise(sandbox: &Sandbox) -> Mini<'_> {
    let exercise = "[runtime]\nprograms = [\"sh\"]\n[[exercise]]\nname = \"e\"\ntitle = \"E\"\n[[exercise.step]]\nname = \"look\"\nrig = \"hello\"\n\
        command = [\"sh\", \"-c\", \"cat $1; pwd > here\", \"sh\", \"${repo}/greeting.txt\"]\n\
        [[check]]\nid = \"e\"\ntitle = \"E\"\nkind = \"exercise\"\nexercise = \"e\"\nstep = \"look\"\nexit = 0\nstdout_line = \"Hello from the worker.\"\n";
    Mini::new(sandbox).with(exercise)
}

#[test]
fn a_cache_may_have_any_name() {
    let names =
        ["a%20b", "a b", "a:b", "it's", "a\"b", "a#b?c", "naïve-ünï", "a\nb", "$HOME", "-x", "a\\b", "[x]*", &"long".repeat(30)];
    for (name, origins) in names.into_iter().zip(["file", "file", "file", "served"].into_iter().cycle()) {
        let sandbox = Sandbox::new();
        let cache = sandbox.cache().join(name);
        let mini = with_exercise(&sandbox).replacing("scenario.toml", "convoy =", &format!("origins = \"{origins}\"\nconvoy ="));
        let ran = Ran::of(mini.run(&[]).env("XDG_CACHE_HOME", &cache).output().unwrap());
        assert_eq!(ran.code, Some(0), "{name:?} {origins}: {}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn reports_and_scenarios_may_have_any_name() {
    for name in ["a%20b", "a b:c", "it's", "naïve\n\"x\""] {
        let sandbox = Sandbox::new();
        let mini = with_exercise(&sandbox);
        let (scenario, reports) = (sandbox.work().join(format!("{name}-s")), sandbox.work().join(name));
        crate::sandbox::copy_folder(Path::new(mini.folder()), &scenario);
        let mut command = sandbox.proctor(&["run"]);
        let ran = Ran::of(command.arg(&scenario).arg("--reports").arg(&reports).output().unwrap());
        assert_eq!(ran.code, Some(0), "{name:?}: {}{}", ran.stdout, ran.stderr);
        let latest = reports.join("latest");
        let mut again = sandbox.proctor(&["exercise"]);
        Ran::of(again.arg(&latest).arg("e").output().unwrap()).expect_code(0);
        Ran::of(sandbox.proctor(&["judge"]).arg(&latest).output().unwrap()).expect_code(0);
    }
}

#[test]
fn a_home_behind_links_and_relative_folders_change_nothing() {
    let sandbox = Sandbox::new();
    let home = sandbox.work().join("real home");
    fs::create_dir(&home).unwrap();
    let link = sandbox.work().join("home");
    symlink(&home, &link).unwrap();
    let mini = with_exercise(&sandbox);
    for cache in [None, Some("relative"), Some("")] {
        let mut command = mini.run(&[]);
        command.env("HOME", &link).env_remove("XDG_CACHE_HOME");
        command.envs(cache.map(|cache| ("XDG_CACHE_HOME", cache)));
        Ran::of(command.output().unwrap()).expect_code(0);
    }
    assert!(home.join(".cache/proctor").is_dir() && !sandbox.work().join("relative").exists());
}

/// What no variable of the operator's may change.
const VARIABLES: [(&str, &str); 40] = [
    ("OTEL_TRACES_SAMPLER", "always_off"),
    ("OTEL_SDK_DISABLED", "true"),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "0"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "1"),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", "1"),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "a=b"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
    ("OTEL_RESOURCE_ATTRIBUTES", "service.name=mine,gt.role=mayor"),
    ("OTEL_SERVICE_NAME", "mine"),
    ("GIT_DIR", "/nowhere"),
    ("GIT_WORK_TREE", "/nowhere"),
    ("GIT_CONFIG_GLOBAL", "/nowhere"),
    ("GIT_CONFIG_COUNT", "1"),
    ("GIT_CONFIG_KEY_0", "core.hooksPath"),
    ("GIT_CONFIG_VALUE_0", "/nowhere"),
    ("GIT_AUTHOR_NAME", "Somebody"),
    ("GIT_TRACE", "1"),
    ("PYTHONPATH", "/nowhere"),
    ("PYTHONHOME", "/nowhere"),
    ("PYTHONSTARTUP", "/nowhere"),
    ("http_proxy", "http://127.0.0.1:9"),
    ("HTTP_PROXY", "http://127.0.0.1:9"),
    ("https_proxy", "http://127.0.0.1:9"),
    ("ALL_PROXY", "http://127.0.0.1:9"),
    ("LANG", "tr_TR.ISO-8859-9"),
    ("LC_ALL", "xx_YY"),
    ("TZ", "Asia/Kathmandu"),
    ("TMPDIR", "/nowhere"),
    ("NO_COLOR", "1"),
    ("CLICOLOR_FORCE", "1"),
    ("CARGO_HOME", "/nowhere"),
    ("RUST_LOG", "trace"),
    ("RUST_BACKTRACE", "full"),
    ("TERM", "nonsense"),
    ("ANTHROPIC_BASE_URL", "http://127.0.0.1:9"),
    ("GT_ROLE", "alice/polecats/x"),
    ("GT_OTEL_METRICS_URL", "http://127.0.0.1:9"),
    ("PROCTOR_RUN_ID", "7k3f"),
    ("BASH_ENV", "/nowhere"),
];

#[test]
fn no_variable_of_the_operators_changes_a_run() {
    let sandbox = Sandbox::new();
    let mini = with_exercise(&sandbox);
    Ran::of(mini.run(&[]).output().unwrap()).expect_code(0);
    let plain = told(&sandbox);
    assert!(plain.iter().any(|row| row.starts_with("check ")) && plain.iter().any(|row| row.starts_with("span ")), "{plain:#?}");
    let other = sandbox.beside();
    let mut command = other.proctor(&["run", mini.folder()]);
    Ran::of(command.envs(VARIABLES).output().unwrap()).expect_code(0);
    assert_eq!(told(&other), plain);
}

/// What a run says that must be the same in every run: checks, agents' telemetry, the harness's own spans.
fn told(sandbox: &Sandbox) -> Vec<String> {
    let summary = sandbox.summary();
    let rows = |key: &str, show: &dyn Fn(&serde_json::Value) -> String| -> Vec<String> {
        summary[key].as_array().into_iter().flatten().map(show).collect()
    };
    let mut told = rows("checks", &|check| format!("check {} {}", check["id"], check["status"]));
    told.extend(rows("findings", &|finding| format!("finding {} {}", finding["id"], finding["level"])));
    told.extend(span_names(&sandbox.report()).into_iter().map(|name| format!("span {name}")));
    told
}

/// The names of the harness's spans, as the store gives them.
fn span_names(report: &Path) -> Vec<String> {
    let store = proctor_store::Store::open_read_only(&report.join("evidence/telemetry")).unwrap();
    let mut names: Vec<String> = store.spans(proctor_store::TimeRange::ALL).iter().map(|span| span.name.clone()).collect();
    names.sort();
    names
}

#[test]
fn a_scenario_folder_of_links_is_read_whole() {
    let sandbox = Sandbox::new();
    let mini = with_exercise(&sandbox);
    let elsewhere = sandbox.work().join("elsewhere");
    fs::rename(PathBuf::from(mini.folder()).join("script"), &elsewhere).unwrap();
    symlink(&elsewhere, PathBuf::from(mini.folder()).join("script")).unwrap();
    Ran::of(mini.run(&[]).output().unwrap()).expect_code(0);
}
