//! The parent outside: signals, ends, leftovers, terminals.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Stdio};

use proctor_fence::{Ended, Fence, Namespaces, Status};
use rustix::process::{Pid, Signal, kill_process};

use super::place::{Place, Who, program, said};

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), signal).unwrap();
}

/// Fences with and without a PID namespace.
fn fences(place: &Place) -> Vec<Fence> {
    let processes = Namespaces { processes: true, ..Namespaces::default() };
    vec![place.bare(), place.fence(), Fence { namespaces: Some(processes), ..place.bare() }]
}

#[test]
fn it_ends_as_the_program_did() {
    let place = Place::new();
    for fence in fences(&place) {
        assert_eq!(place.run(Who::Me, &fence, "sh", &["-c", "exit 41"]).status.code(), Some(41));
        assert_eq!(place.run(Who::Me, &fence, "sh", &["-c", "kill -KILL $$"]).status.signal(), Some(9));
        assert_eq!(place.run(Who::Me, &fence, "sh", &["-c", "kill -TERM $$"]).status.signal(), Some(15));
    }
}

#[test]
fn signals_reach_the_program() {
    let place = Place::new();
    for fence in fences(&place) {
        for (name, sent) in
            [("TERM", Signal::TERM), ("INT", Signal::INT), ("HUP", Signal::HUP), ("USR1", Signal::USR1), ("QUIT", Signal::QUIT)]
        {
            let script = format!("trap 'echo {name}; exit 5' {name}; echo there; while :; do sleep 0.01; done");
            let mut child = place.fenced(Who::Me, &fence, "sh", &["-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            assert_eq!(lines.next().unwrap().unwrap(), "there");
            signal(&child, sent);
            assert_eq!(lines.next().unwrap().unwrap(), name);
            assert_eq!(child.wait().unwrap().code(), Some(5));
        }
    }
}

#[test]
fn the_program_ends_with_its_parent() {
    let place = Place::new();
    for fence in fences(&place) {
        let mut child =
            place.fenced(Who::Me, &fence, "sh", &["-c", "echo there; exec sleep 1000"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        output.read_exact(&mut [0; 6]).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // The program holds the other end until it ends.
        assert_eq!(output.read(&mut [0; 1]).unwrap(), 0);
    }
}

/// A daemon that forks twice, has a session of its own, no environment, and `/` as its folder.
const DAEMON: &str = "
import os, sys, time
if os.fork(): os.wait(); print('bye'); sys.exit(3)
os.setsid()
if os.fork(): os._exit(0)
os.chdir('/')
os.execve('/bin/sleep', ['sleep', '1234'], {})
";

fn report(place: &Place, fence: &Fence, by_force: bool) -> Ended {
    let file = place.path().join("report");
    let python = program("python3").unwrap();
    let script = if by_force {
        DAEMON.replace("print('bye'); sys.exit(3)", "print('bye', flush=True); time.sleep(1000)")
    } else {
        DAEMON.to_owned()
    };
    let mut command = Who::Me.command(&place.launcher);
    command.arg("--report").arg(&file).arg(fence.to_json().unwrap()).arg("--").arg(python).args(["-I", "-c", &script]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "bye");
    if by_force {
        signal(&child, Signal::ALARM);
    }
    child.wait().unwrap();
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

#[test]
fn what_is_left_is_ended_and_named() {
    if program("python3").is_none() {
        return;
    }
    let place = Place::new();
    for fence in fences(&place) {
        for (by_force, status) in [(false, Status::Code(3)), (true, Status::Signal(9))] {
            let ended = report(&place, &fence, by_force);
            assert_eq!(ended.status, status);
            let names: Vec<&str> = ended.leftovers.iter().map(|left| left.command.as_str()).collect();
            assert_eq!(names, ["sleep 1234"]);
            let process = ended.leftovers.first().unwrap();
            let now = std::fs::read_to_string(format!("/proc/{}/stat", process.pid)).unwrap_or_default();
            assert!(!now.contains(&process.started.to_string()), "{now}");
        }
    }
}

#[test]
fn what_a_program_was_in_the_middle_of_when_it_was_told_to_end_is_not_left_behind() {
    let place = Place::new();
    for sent in [Signal::TERM, Signal::HUP, Signal::QUIT] {
        let file = place.path().join("report");
        let mut command = Who::Me.command(&place.launcher);
        // An orphan, and a command that is under way with one of its own.
        let script = "(setsid sleep 777 >/dev/null &); sh -c 'echo there; sleep 888; true'; true";
        command.arg("--report").arg(&file).arg(place.bare().to_json().unwrap()).args(["--", "sh", "-c", script]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "there");
        signal(&child, sent);
        child.wait().unwrap();
        let ended: Ended = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let names: Vec<&str> = ended.leftovers.iter().map(|left| left.command.as_str()).collect();
        assert_eq!(names, ["sleep 777"], "{sent:?}");
    }
}

#[test]
fn a_terminal_stays_the_programs() {
    let Some(python) = program("python3") else { return };
    let place = Place::new();
    let inner = "import os, signal, sys\\nsignal.signal(signal.SIGINT, lambda *_: sys.exit(6))\\nprint(os.tcgetpgrp(0) == os.getpgrp(), flush=True)\\nsignal.pause()";
    let body = "
import os, pty, sys
pid, master = pty.fork()
if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
text = b''
while b'True' not in text: text += os.read(master, 100)
os.write(master, b'\\x03')
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";
    for fence in fences(&place) {
        let inner = inner.replace("\\n", "\n");
        let output = Who::Me
            .command(&python)
            .args(["-I", "-c", body, place.launcher.to_str().unwrap(), &fence.to_json().unwrap(), "--"])
            .args([python.to_str().unwrap(), "-I", "-c", &inner])
            .output()
            .unwrap();
        assert_eq!(said(&output), "6");
    }
}

#[test]
fn what_cannot_be_set_up_is_said() {
    let place = Place::new();
    let missing = Fence { write: vec!["/nonexistent".into()], ..place.bare() };
    let output = place.run(Who::Me, &missing, "true", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("/nonexistent") && said(&output).contains("`write`"), "{}", said(&output));
    let output = place.run(Who::Me, &place.bare(), "/usr/bin/nonexistent", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("/usr/bin/nonexistent"), "{}", said(&output));
    let output = Who::Me.command(&place.launcher).args(["{\"reed\":[]}", "--", "true"]).output().unwrap();
    assert!(said(&output).contains("reed"), "{}", said(&output));
    assert!(!Path::new("/nonexistent").exists());
}
