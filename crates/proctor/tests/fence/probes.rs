//! What is refused. Each probe is a few lines of Python that print `done` when they could do it; outside they can.

use std::io::Read;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use proctor_fence::Fence;

use super::place::{Place, Who, has, open, program, said};

/// The attempts run below this: whatever refuses is told apart from `done`.
const ATTEMPT: &str = "
import ctypes, os, socket, resource, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    result = libc.syscall(*args)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def attempt():
    BODY
try:
    attempt()
    print('done')
except Exception as error:
    print(type(error).__name__, error)
";

fn attempt(body: &str) -> String {
    ATTEMPT.replace("BODY", &body.trim().replace('\n', "\n    "))
}

/// Runs a probe outside and inside: outside it is done, inside it is not.
fn is_refused(place: &Place, fence: &Fence, body: &str) {
    let Some(python) = program("python3") else { return };
    for who in Who::all() {
        let text = attempt(body);
        let mut outside = who.command(&python);
        let outside = said(&outside.args(["-I", "-c", &text]).current_dir(&place.mine).output().unwrap());
        assert_eq!(outside, "done", "outside, {who:?}: {body}");
        let inside = said(&place.run(who, fence, python.to_str().unwrap(), &["-I", "-c", &text]));
        assert!(!inside.is_empty() && !inside.contains("done"), "inside, {who:?}: {body}\n{inside}");
    }
}

/// Runs a probe inside, where it is done.
fn is_done(place: &Place, fence: &Fence, body: &str) {
    let Some(python) = program("python3") else { return };
    for who in Who::all() {
        let inside = said(&place.run(who, fence, python.to_str().unwrap(), &["-I", "-c", &attempt(body)]));
        assert_eq!(inside, "done", "inside, {who:?}: {body}");
    }
}

/// A process outside, of the user who runs the probe, that is ended with the test.
struct Outside(Child);

impl Outside {
    fn of(who: Who) -> Self {
        let mut command = who.command(Path::new("/bin/sh"));
        command.args(["-c", "echo there; exec sleep 1000"]).env("SECRET", "canary").stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Not before it has become the user that it is to be.
        child.stdout.take().unwrap().read_exact(&mut [0; 6]).unwrap();
        Self(child)
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// A probe against a process outside, `PID` in its text.
fn is_refused_on_others(place: &Place, body: &str) {
    let Some(python) = program("python3") else { return };
    for who in Who::all() {
        let outside = Outside::of(who);
        let text = attempt(&body.replace("PID", &outside.0.id().to_string()));
        let inside = said(&place.run(who, &place.bare(), python.to_str().unwrap(), &["-I", "-c", &text]));
        assert!(!inside.is_empty() && !inside.contains("done"), "inside, {who:?}: {body}\n{inside}");
        let control = said(&who.command(&python).args(["-I", "-c", &text]).output().unwrap());
        // Where Yama forbids it, nobody but root may trace a process that is not its child.
        let yama = who == Who::Nobody && control.contains("not permitted") && body.contains("PTRACE");
        assert!(control == "done" || yama, "outside, {who:?}: {body}\n{control}");
    }
}

#[test]
fn files_outside_are_not_written() {
    let place = Place::new();
    if !has("landlock") {
        return;
    }
    for fence in [place.fence(), place.bare()] {
        is_refused(&place, &fence, &format!("open('{0}/new', 'w').write('x'); os.remove('{0}/new')", place.other.display()));
        is_done(
            &place,
            &fence,
            "open('own', 'w').write('x'); os.chmod('own', 0o777); os.rename('own', 'there'); os.remove('there')",
        );
        is_done(&place, &fence, "open('/dev/null', 'w').write('x'); open('/dev/urandom', 'rb').read(4)");
    }
}

#[test]
fn what_is_said_about_files_outside_is_not_changed() {
    let place = Place::new();
    if !has("namespaces") {
        return;
    }
    // Whose file it is decides, too: a folder of each user's own.
    for who in Who::all() {
        let file = place.other.join(format!("{who:?}"));
        let made = who.command(Path::new("/bin/touch")).arg(&file).status().unwrap();
        assert!(made.success());
    }
    let own =
        format!("'{}/' + ('Me' if os.getuid() == {} else 'Nobody')", place.other.display(), rustix::process::getuid().as_raw());
    is_refused(&place, &place.fence(), &format!("os.chmod({own}, 0o600)"));
    is_refused(&place, &place.fence(), &format!("os.utime({own}, (1, 1))"));
    is_refused(&place, &place.fence(), &format!("os.chown({own}, os.getuid(), os.getgid())"));
}

#[test]
fn without_mounts_the_parent_refuses_what_it_sees() {
    let place = Place::new();
    if !has("observation") {
        return;
    }
    let file = place.other.join("file");
    std::fs::write(&file, "x").unwrap();
    let fence = Fence { refusals: Some(place.path().join("refusals")), ..place.bare() };
    let Some(python) = program("python3") else { return };
    let inside = |body: &str| said(&place.run(Who::Me, &fence, python.to_str().unwrap(), &["-I", "-c", &attempt(body)]));
    let before = std::fs::metadata(&file).unwrap().permissions();
    for path in ["FILE", "/proc/self/fd/%d' % os.open('FILE', os.O_PATH) + '"] {
        let path = path.replace("FILE", file.to_str().unwrap());
        for body in [format!("os.chmod('{path}', 0o604)"), format!("os.utime('{path}', (1, 1))")] {
            assert!(inside(&body).contains("PermissionError"), "{body}: {}", inside(&body));
            let control = Command::new(&python).args(["-I", "-c", &attempt(&body)]).output().unwrap();
            assert_eq!(said(&control), "done", "{body}");
            std::fs::set_permissions(&file, before.clone()).unwrap();
        }
    }
    let own = "open('own', 'w'); os.chmod('own', 0o600); os.utime('own'); os.chmod('/proc/self/fd/%d' % os.open('own', os.O_PATH), 0o644)";
    assert_eq!(inside(own), "done");
}

#[test]
fn a_hidden_home_is_not_read() {
    let place = Place::new();
    let home = place.path().join("home");
    std::fs::create_dir(&home).unwrap();
    open(&home);
    std::fs::write(home.join("secret"), "canary").unwrap();
    std::fs::write(home.join("shown"), "canary").unwrap();
    let mut fence = place.fence();
    fence.namespaces.as_mut().unwrap().hide.push(home.clone());
    fence.read.push(home.join("shown"));
    let read = |name: &str| format!("open('{}/{name}').read()", home.display());
    if has("landlock") {
        is_refused(&place, &fence, &read("secret"));
        is_done(&place, &fence, &read("shown"));
        is_refused(&place, &place.bare(), &read("secret"));
    }
}

#[test]
fn only_the_listed_port_is_reached() {
    let place = Place::new();
    if !has("landlock-network") {
        return;
    }
    let [listed, other] = [0, 0].map(|_: i32| TcpListener::bind("127.0.0.1:0").unwrap());
    let [listed, other] = [&listed, &other].map(|listener| listener.local_addr().unwrap().port());
    let fence = Fence { connect: vec![listed], ..place.bare() };
    is_done(&place, &fence, &format!("socket.create_connection(('127.0.0.1', {listed}))"));
    is_refused(&place, &fence, &format!("socket.create_connection(('127.0.0.1', {other}))"));
    is_refused(&place, &fence, "socket.create_server(('127.0.0.1', 0))");
    is_done(&place, &Fence { bind: vec![0], ..place.bare() }, "socket.create_server(('127.0.0.1', 0))");
    if !has("seccomp") {
        return;
    }
    let fast = format!("socket.socket().sendto(b'', 0x20000000, ('127.0.0.1', {listed}))");
    is_refused(&place, &fence, &fast);
}

#[test]
fn no_datagram_is_sent() {
    let place = Place::new();
    let send = "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))";
    if has("seccomp") {
        is_refused(&place, &place.bare(), send);
        is_done(&place, &Fence { udp: true, ..place.bare() }, send);
        is_done(&place, &place.bare(), "socket.getaddrinfo('localhost', 80)");
    }
}

#[test]
fn the_operators_sockets_are_not_reached() {
    let place = Place::new();
    let path = place.other.join("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    open(&path);
    if has("namespaces") {
        is_refused(&place, &place.fence(), &format!("socket.socket(socket.AF_UNIX).connect('{}')", path.display()));
    }
    let name = format!("proctor-test-{}", std::process::id());
    let _abstract = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    if has("landlock-scopes") {
        is_refused(&place, &place.bare(), &format!("socket.socket(socket.AF_UNIX).connect('\\0{name}')"));
    }
    let own = "a = socket.socket(socket.AF_UNIX); a.bind('own'); a.listen(); socket.socket(socket.AF_UNIX).connect('own'); os.remove('own')";
    is_done(&place, &place.fence(), own);
}

#[test]
fn processes_outside_are_not_signalled() {
    if has("landlock-scopes") {
        is_refused_on_others(&Place::new(), "os.kill(PID, 0)");
        is_refused_on_others(&Place::new(), "os.kill(PID, 19); os.kill(PID, 18)");
    }
}

#[test]
fn processes_outside_are_not_traced() {
    let place = Place::new();
    if !has("seccomp") && !has("landlock") {
        return;
    }
    is_refused_on_others(
        &place,
        "PTRACE = 16; libc.ptrace.restype = ctypes.c_long\nif libc.ptrace(PTRACE, PID, 0, 0): raise OSError(ctypes.get_errno(), 'Operation not permitted')",
    );
}

#[test]
fn the_environment_of_processes_outside_is_not_read() {
    if has("landlock") {
        is_refused_on_others(&Place::new(), "assert b'canary' in open('/proc/PID/environ', 'rb').read()");
    }
}

#[test]
fn limits_and_priorities_of_processes_outside_are_not_changed() {
    let place = Place::new();
    if has("seccomp") {
        is_refused_on_others(&place, "resource.prlimit(PID, resource.RLIMIT_CORE, (0, 0))");
        is_refused_on_others(&place, "os.setpriority(os.PRIO_PROCESS, PID, 19)");
        is_refused_on_others(&place, "os.sched_setaffinity(PID, os.sched_getaffinity(PID))");
        is_done(&place, &place.bare(), "resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); os.nice(1)");
    }
}

#[test]
fn namespaces_are_neither_made_nor_entered_nor_furnished() {
    let place = Place::new();
    // Where the system refuses namespaces to everybody there is nothing to compare with.
    if !has("seccomp") || !has("namespaces") {
        return;
    }
    // Refused by number, whatever the arguments: outside the kernel looks at them first.
    let refused = [
        "libc.mount(b'x', b'/nonexistent', b'tmpfs', 0, None); assert ctypes.get_errno() == 2 or os.getuid()",
        "libc.setns(os.open('/proc/self/ns/mnt', os.O_RDONLY), 0x7fffffff); assert ctypes.get_errno() == 22",
        "libc.unshare(0x7fffffff); assert ctypes.get_errno() == 22",
    ];
    for body in refused {
        let inside = format!("{body}\nif ctypes.get_errno() == 1: raise OSError(1, 'refused')\nassert ctypes.get_errno() != 1");
        let body = inside.replace(" or os.getuid()", "");
        let Some(python) = program("python3") else { return };
        let output = said(&place.run(Who::Me, &place.bare(), python.to_str().unwrap(), &["-I", "-c", &attempt(&body)]));
        assert!(!output.contains("done"), "{body}: {output}");
        if rustix::process::geteuid().is_root() || !body.contains("mount") {
            let control = said(&Command::new(&python).args(["-I", "-c", &attempt(&body)]).output().unwrap());
            assert_eq!(control, "done", "{body}");
        }
    }
}

#[test]
fn memory_that_knows_no_folder_is_not_shared() {
    let place = Place::new();
    if has("seccomp") {
        let segment = "import ctypes\nid = libc.shmget(0, 4096, 0o1600)\nif id < 0: raise OSError(ctypes.get_errno(), 'x')\nlibc.shmctl(id, 0, None)";
        is_refused(&place, &place.bare(), segment);
        // Without a `/dev/shm` of its own, a program would share it with others: it has none.
        if has("namespaces") {
            is_done(&place, &place.fence(), "import multiprocessing; multiprocessing.Lock().acquire()");
        }
    }
}

#[test]
fn root_has_no_capability() {
    let place = Place::new();
    if !rustix::process::geteuid().is_root() {
        println!("skipped: root not found");
        return;
    }
    let sets = "assert '0000000000000000' not in open('/proc/self/status').read().split('CapEff')[1][:20]";
    let Some(python) = program("python3") else { return };
    for fence in [place.fence(), place.bare()] {
        let output = said(&place.run(Who::Me, &fence, python.to_str().unwrap(), &["-I", "-c", &attempt(sets)]));
        assert_eq!(output, "AssertionError");
        let output = said(&place.run(Who::Me, &fence, python.to_str().unwrap(), &["-I", "-c", &attempt("os.setgid(1)")]));
        assert!(output.contains("PermissionError"), "{output}");
    }
}
