//! What was refused is written down by the parent outside.

use std::path::{Path, PathBuf};

use proctor_fence::{Fence, Mode, Refusal, Tried};

use super::place::{Place, Who, has, program, said};

/// Everything that a program inside tried and may not.
const SCRIPT: &str = "
import os, socket
def attempt(what):
    try:
        what()
        print('did')
    except OSError: pass
for n in range(3): attempt(lambda: open('OTHER/new', 'w'))
attempt(lambda: open('OTHER/secret').read())
attempt(lambda: os.chmod('OTHER/secret', 0o644))
attempt(lambda: os.kill(os.getppid(), 0))
attempt(lambda: socket.create_connection(('127.0.0.1', 1)))
attempt(lambda: socket.create_server(('127.0.0.1', 2)))
attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
attempt(lambda: open('own', 'w'))
print('done')
";

fn refusals(path: &Path) -> Vec<Refusal> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn fence(place: &Place) -> (Fence, PathBuf) {
    std::fs::write(place.other.join("secret"), "x").unwrap();
    super::place::open(&place.other.join("secret"));
    let file = place.path().join("refusals.ndjson");
    // Without a port there is no socket at all where Landlock cannot limit them.
    let fence = Fence { connect: vec![7], refusals: Some(file.clone()), agent: Some("alice/refinery".into()), ..place.bare() };
    (fence, file)
}

#[test]
fn each_refusal_is_written_once_and_counted() {
    let place = Place::new();
    let Some(python) = program("python3") else { return };
    // What Landlock does not refuse on an older kernel, the parent does.
    if !has("observation") {
        return;
    }
    let (fence, file) = fence(&place);
    let script = SCRIPT.replace("OTHER", place.other.to_str().unwrap());
    for who in Who::all() {
        for mode in [Mode::On, Mode::Warn] {
            _ = std::fs::remove_file(&file);
            let fence = Fence { mode, ..fence.clone() };
            let output = place.run(who, &fence, python.to_str().unwrap(), &["-I", "-c", &script]);
            let said = said(&output);
            let did = said.matches("did").count();
            // Only its own file, unless nothing is refused.
            assert!(said.ends_with("done") && (mode == Mode::Warn || did == 1), "{said}");
            let rows = refusals(&file);
            let all = |what: Tried, target: &str| {
                let rows = rows.iter().filter(|row| row.what == what && row.target.contains(target));
                rows.map(|row| row.count).sum::<u64>()
            };
            assert_eq!(all(Tried::Write, "other/new"), 3, "{rows:#?}");
            assert_eq!(all(Tried::Read, "other/secret"), 1, "{rows:#?}");
            assert_eq!(all(Tried::Write, "other/secret"), 1, "{rows:#?}");
            assert_eq!(all(Tried::Signal, "proctor-fence"), 1, "{rows:#?}");
            assert_eq!(all(Tried::Connect, "127.0.0.1:1"), 1, "{rows:#?}");
            assert_eq!(all(Tried::Bind, "127.0.0.1:2"), 1, "{rows:#?}");
            assert_eq!(all(Tried::Connect, "udp"), 1, "{rows:#?}");
            assert_eq!(all(Tried::Write, "mine/own"), 0, "{rows:#?}");
            assert!(rows.iter().all(|row| row.agent.as_deref() == Some("alice/refinery")), "{rows:#?}");
            assert!(rows.iter().all(|row| row.program.contains("python3")), "{rows:#?}");
            // What only warns refuses nothing.
            assert_eq!(place.other.join("new").exists(), mode == Mode::Warn);
            for made in [place.other.join("new"), place.mine.join("own")] {
                _ = std::fs::remove_file(made);
            }
        }
    }
}

#[test]
fn what_is_there_already_is_not_refused_to_whoever_would_make_it() {
    let place = Place::new();
    let Some(python) = program("python3") else { return };
    if !has("observation") {
        return;
    }
    let (fence, file) = fence(&place);
    // `mkdir -p` asks for every folder on its way; the kernel says that each is there, and asks no fence.
    let script = "
import os
for make in (os.mkdir, lambda path: os.symlink('/', path), lambda path: os.mkfifo(path), lambda path: os.link('own', path)):
    for path in ('OTHER', 'OTHER/secret', '/'):
        try: make(path)
        except FileExistsError: print('there')
        except OSError as error: print(error)
os.makedirs('mine/deep')
try: os.mkdir('OTHER/new')
except OSError: print('refused')
";
    let script = script.replace("OTHER", place.other.to_str().unwrap());
    std::fs::write(place.mine.join("own"), "x").unwrap();
    let output = place.run(Who::Me, &fence, python.to_str().unwrap(), &["-I", "-c", &script]);
    let said = said(&output);
    assert_eq!((said.matches("there").count(), said.ends_with("refused")), (12, true), "{said}");
    // What is nowhere was not refused: here, folders of libraries that the loader is told to look in.
    let is_refusal = |row: &Refusal| !row.unseen || row.what != Tried::Read || Path::new(&row.target).exists();
    let rows: Vec<_> = refusals(&file).into_iter().filter(is_refusal).map(|row| (row.what, row.target)).collect();
    assert_eq!(
        rows,
        [(Tried::Write, place.other.join("new").canonicalize().unwrap_or(place.other.join("new")).display().to_string())]
    );
}

#[test]
fn a_hidden_file_that_is_looked_for_is_named() {
    let place = Place::new();
    if !has("observation") || !has("namespaces") {
        return;
    }
    let (mut fence, file) = fence(&place);
    fence.namespaces = place.fence().namespaces;
    let secret = place.other.join("secret");
    let output = place.run(Who::Me, &fence, "cat", &[secret.to_str().unwrap()]);
    assert!(!output.status.success());
    let rows = refusals(&file);
    assert!(rows.iter().any(|row| row.what == Tried::Read && row.unseen && row.target == secret.to_str().unwrap()), "{rows:#?}");
}

/// Signals to the process outside and to one of its own, by every call that sends one.
const SIGNALS: &str = "
import os, signal, threading, ctypes
libc = ctypes.CDLL(None, use_errno=True)
outside, own = os.getppid(), os.fork()
if own == 0:
    signal.pause()
def attempt(what):
    try: what()
    except OSError: pass
for pid in (own, outside):
    attempt(lambda: os.kill(pid, signal.SIGCONT))
    attempt(lambda: signal.pidfd_send_signal(os.pidfd_open(pid), signal.SIGUSR2 if pid == outside else signal.SIGCONT))
    libc.syscall(234, pid, pid, signal.SIGTERM if pid == own else signal.SIGINT)
signal.pthread_kill(threading.get_ident(), signal.SIGCONT)
os.waitpid(own, 0)
print('done')
";

#[test]
#[cfg(target_arch = "x86_64")]
fn a_signal_is_written_down_with_whom_it_was_for_by_whatever_call_it_was_sent() {
    let place = Place::new();
    let Some(python) = program("python3") else { return };
    if !has("observation") || !has("landlock-scopes") {
        return;
    }
    let (fence, file) = fence(&place);
    let output = place.run(Who::Me, &fence, python.to_str().unwrap(), &["-I", "-c", SIGNALS]);
    assert_eq!(said(&output), "done");
    let rows = refusals(&file);
    let signals: Vec<&Refusal> = rows.iter().filter(|row| row.what == Tried::Signal).collect();
    let mut names: Vec<&str> = signals.iter().filter_map(|row| row.target.split(' ').next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["SIGCONT", "SIGINT", "SIGUSR2"], "{rows:#?}");
    assert!(signals.iter().all(|row| row.to.len() > 1 && row.to.contains(&std::process::id())), "{signals:#?}");
}

#[test]
fn a_look_into_another_process_is_named_and_one_into_its_own_is_not() {
    let place = Place::new();
    if !has("observation") || !has("landlock") {
        return;
    }
    let (fence, file) = fence(&place);
    let script =
        "for f in environ maps fd status; do for p in $PPID $$ self; do ls /proc/$p/$f/ || cat /proc/$p/$f; done; done; echo";
    place.run(Who::Me, &fence, "sh", &["-c", script]);
    let rows = refusals(&file);
    let looked = rows.iter().filter(|row| row.target.starts_with("/proc/"));
    let mut looked: Vec<&str> = looked.filter_map(|row| row.target.split('/').nth(3)).collect();
    looked.sort_unstable();
    looked.dedup();
    assert_eq!(looked, ["environ", "fd", "maps"], "{rows:#?}");
    assert!(rows.iter().filter(|row| row.target.starts_with("/proc/")).all(|row| row.to.contains(&std::process::id())));
}

#[test]
fn what_a_program_asks_about_itself_is_not_written_down() {
    let place = Place::new();
    let Some(python) = program("python3") else { return };
    if !has("observation") {
        return;
    }
    let (mut fence, file) = fence(&place);
    // As where a program would see others in `/proc`.
    fence.read.retain(|path| path != Path::new("/proc"));
    let ask = "
import os, threading
def ask(path):
    try: open(path).read()
    except OSError: pass
def own():
    for name in ('self/cgroup', 'thread-self/comm', '%d/limits' % os.getpid()): ask('/proc/' + name)
    ask('/proc/%d/environ' % os.getppid())
own()
thread = threading.Thread(target=own)
thread.start()
thread.join()
";
    place.run(Who::Me, &fence, python.to_str().unwrap(), &["-I", "-c", ask]);
    let rows = refusals(&file);
    let asked: Vec<&Refusal> = rows.iter().filter(|row| row.target.starts_with("/proc/")).collect();
    assert!(!asked.is_empty() && asked.iter().all(|row| row.target.ends_with("/environ")), "{rows:#?}");
}
