//! What works inside: ordinary programs, limits, fences in fences.

use std::path::{Path, PathBuf};

use proctor_fence::{Bind, Fence, Limits, Namespaces};

use super::place::{Place, Who, has, program, said};

#[test]
fn ordinary_programs_work() {
    let place = Place::new();
    let git = "git init -q r && cd r && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x && git clone -q . ../c && git -C ../c log --format=%s";
    for (name, args, wanted) in [
        ("bash", vec!["-c", "f=$(mktemp) && echo 1 > $f && cat < $f && diff <(echo 1) $f"], "1"),
        (
            "python3",
            vec![
                "-I",
                "-c",
                "import ssl, subprocess, tempfile, threading; tempfile.TemporaryFile(); print(subprocess.run(['true']).returncode)",
            ],
            "0",
        ),
        ("git", vec![], ""),
        ("node", vec!["-e", "const c = require('child_process'); console.log(c.execSync('echo 7').toString().trim())"], "7"),
    ] {
        if program(name).is_none() {
            continue;
        }
        for who in Who::all() {
            let folder = place.mine.join(format!("{name}-{who:?}"));
            std::fs::create_dir(&folder).unwrap();
            super::place::open(&folder);
            let output = if name == "git" {
                place.fenced(who, &place.fence(), "sh", &["-c", git]).current_dir(&folder).output().unwrap()
            } else {
                place.fenced(who, &place.fence(), name, &args).current_dir(&folder).output().unwrap()
            };
            let wanted = if name == "git" { "x" } else { wanted };
            assert_eq!((output.status.code(), said(&output).as_str()), (Some(0), wanted), "{name} as {who:?}");
        }
    }
}

#[test]
fn a_program_of_go_works() {
    let Some(go) = ["/usr/local/go/bin/go", "/usr/bin/go"].map(Path::new).into_iter().find(|path| path.exists()) else {
        println!("skipped: go not found");
        return;
    };
    let place = Place::new();
    let output = place.fenced(Who::Me, &place.fence(), go.to_str().unwrap(), &["env", "GOOS"]).output().unwrap();
    assert_eq!(said(&output), "linux");
}

#[test]
fn a_private_tmp_is_empty_and_may_be_written() {
    let place = Place::new();
    if has("namespaces") {
        let output =
            place.run(Who::Me, &place.fence(), "sh", &["-c", "touch /tmp/here /dev/shm/here && ls /tmp && ls /run | wc -l"]);
        let said = said(&output);
        // What is listed below it is there, with the folders around it.
        assert!(said.contains("here") && !Path::new("/tmp/here").exists(), "{said}");
        assert!(said.trim_end().ends_with('0'), "{said}");
    }
}

#[test]
fn a_program_sees_only_its_own_processes_when_asked() {
    let place = Place::new();
    if !has("namespaces") {
        return;
    }
    let namespaces = Namespaces { processes: true, network: true, ..Namespaces::default() };
    let fence = Fence { namespaces: Some(namespaces), ..place.fence() };
    for who in Who::all() {
        let output = place.run(who, &fence, "sh", &["-c", "ls -d /proc/[0-9]* | wc -l; exit 7"]);
        assert_eq!(output.status.code(), Some(7));
        let seen: u32 = said(&output).parse().unwrap();
        assert!(seen < 6, "{seen}");
    }
}

#[test]
fn folders_are_seen_at_other_places() {
    let place = Place::new();
    if !has("namespaces") {
        return;
    }
    std::fs::write(place.other.join("file"), "text").unwrap();
    let bind = vec![
        Bind { source: place.other.clone(), target: "/tmp/given".into(), write: false },
        Bind { source: place.mine.clone(), target: "/tmp/work".into(), write: true },
    ];
    let fence = Fence { write: Vec::new(), namespaces: Some(Namespaces { bind, ..Namespaces::default() }), ..place.fence() };
    let script = "cat /tmp/given/file; echo x > /tmp/work/new; echo x > /tmp/given/new; chmod 600 /tmp/given/file";
    let output = place.fenced(Who::Me, &fence, "sh", &["-c", script]).current_dir("/").output().unwrap();
    assert!(said(&output).starts_with("text"), "{}", said(&output));
    assert!(!output.status.success(), "{}", said(&output));
    assert!(place.mine.join("new").exists() && !place.other.join("new").exists());
}

#[test]
fn limits_hold() {
    let place = Place::new();
    let Some(python) = program("python3") else { return };
    let python = python.to_str().unwrap();
    for who in Who::all() {
        let run = |limits: Limits, body: &str| {
            let fence = Fence { limits, ..place.bare() };
            place.run(who, &fence, python, &["-I", "-c", body])
        };
        let grown = "bytearray(1 << 30); print('done')";
        let memory = Limits { memory: Some(256 << 20), ..Limits::default() };
        assert!(said(&run(memory, grown)).contains("MemoryError"));
        let many = "import os\nfor n in range(100): os.dup(0)\nprint('done')";
        assert!(said(&run(Limits { open_files: Some(50), ..Limits::default() }, many)).contains("Too many open files"));
        let large = "f = open('large', 'wb', 0)\nfor n in range(8): f.write(bytes(1 << 20))\nprint('done')";
        assert!(!said(&run(Limits { file_size: Some(1 << 20), ..Limits::default() }, large)).contains("done"));
        for body in [grown, many, large] {
            assert_eq!(said(&run(Limits::default(), body)), "done");
        }
        _ = std::fs::remove_file(place.mine.join("large"));
    }
}

#[test]
fn processes_are_counted_below_the_fence() {
    let place = Place::new();
    let Some(python) = program("python3") else { return };
    if !has("observation") {
        return;
    }
    let body = "import os, time\nn = 0\ntry:\n  while n < 40:\n    if os.fork() == 0: time.sleep(1000)\n    n += 1\nexcept OSError as error: print(error.errno, n < 20)\nelse: print('done')";
    for who in Who::all() {
        for (processes, wanted) in [(Some(20), "11 True"), (None, "done")] {
            let fence = Fence { limits: Limits { processes, ..Limits::default() }, ..place.bare() };
            assert_eq!(said(&place.run(who, &fence, python.to_str().unwrap(), &["-I", "-c", body])), wanted);
        }
    }
}

#[test]
fn a_fence_in_a_fence_allows_what_both_allow() {
    let place = Place::new();
    if !has("landlock") {
        return;
    }
    let [one, two] = ["one", "two"].map(|name| place.mine.join(name));
    for folder in [&one, &two] {
        std::fs::create_dir(folder).unwrap();
        super::place::open(folder);
    }
    let binary = place.launcher.canonicalize().unwrap();
    let outer = Fence { read: [place.fence().read, vec![binary, place.launcher.clone()]].concat(), ..place.fence() };
    let refusals = Some(one.join("refusals"));
    let inner = Fence { write: vec![one.clone()], refusals, namespaces: None, ..place.bare() };
    let script = format!("echo x > {}/x; echo x > {}/x; echo x > {}/x", one.display(), two.display(), place.other.display());
    for who in Who::all() {
        let launcher = place.launcher.to_str().unwrap();
        let output = place.run(who, &outer, launcher, &[&inner.to_json().unwrap(), "--", "sh", "-c", &script]);
        assert!(one.join("x").exists() && !two.join("x").exists() && !place.other.join("x").exists(), "{}", said(&output));
        let refused = std::fs::read_to_string(one.join("refusals")).unwrap_or_default();
        assert_eq!(refused.contains("two/x"), has("observation"), "{refused}");
        for file in ["x", "refusals"] {
            _ = std::fs::remove_file(one.join(file));
        }
    }
}

#[test]
fn without_a_fence_nothing_is_refused() {
    let place = Place::new();
    let fence = Fence { mode: proctor_fence::Mode::Off, ..Fence::default() };
    let path: PathBuf = place.other.join("new");
    let output = place.run(Who::Me, &fence, "touch", &[path.to_str().unwrap()]);
    assert!(output.status.success() && path.exists(), "{}", said(&output));
}
