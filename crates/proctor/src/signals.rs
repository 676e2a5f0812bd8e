//! Ctrl-C, SIGTERM and SIGHUP: the first ends the run in order, the second by force, the third ends Proctor on the spot.
//!
//! One that a process of the run itself sends ends nothing: it is written down.
//! A run inside a PID namespace hears of them from the process that waits outside, by one byte each on its standard input.

use std::io::{Read, Write};
use std::process::ChildStdin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use proctor_harness::cycle::Cancel;
use proctor_harness::linux;
use proctor_harness::namespace::Namespace;
use proctor_judge::evidence::SignalRow;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::iterator::exfiltrator::origin::Origin;
use signal_hook::low_level::siginfo::Cause;
use signal_hook::low_level::signal_name;

use crate::failure::{Failure, code};
use crate::terminal::live::{aside, below_what_was_typed};

/// How long ending by force may take after the second signal. Only what hangs, such as a disk, takes so long.
const FORCE_LIMIT: Duration = Duration::from_secs(2);

/// The signal that ends everything on the spot, counted from the first.
pub(crate) const AT_ONCE: u32 = 3;

/// Hands signals to `cancel` from now on.
pub(crate) fn watch(cancel: &Cancel) -> Result<(), Failure> {
    let mut signals = SignalsInfo::<WithOrigin>::new(watched()).map_err(unwatched)?;
    let cancel = cancel.clone();
    thread("signals", move || {
        for origin in signals.forever() {
            match own_sender(&origin) {
                Some(row) => refuse(&cancel, row),
                None => received(&cancel, is_typed(&origin)),
            }
        }
    })
}

/// [`watch`] for a run: in a namespace also those that arrived outside.
pub(crate) fn watch_run(cancel: &Cancel, namespace: &Namespace) -> Result<(), Failure> {
    watch(cancel)?;
    match namespace {
        Namespace::Own(_) => {
            let cancel = cancel.clone();
            thread("outside", move || obey(&cancel, std::io::stdin().lock()))
        }
        Namespace::Shared | Namespace::Refused(_) => Ok(()),
    }
}

/// What is said when everything ends on the spot.
const STOPPED: &str = "\nstopped; what was left is ended and removed by: proctor clean\n";

/// The signals that end a run: not SIGHUP below `nohup`, whose user wants the run to outlive the terminal.
fn watched() -> Vec<i32> {
    let hangup = (!crate::inherited::ignores_hangup()).then_some(SIGHUP);
    [SIGINT, SIGTERM].into_iter().chain(hangup).collect()
}

fn unwatched(error: std::io::Error) -> Failure {
    Failure::environment(format!("cannot watch for signals: {error}"))
}

/// The process that sent a signal, when it stems from Proctor itself: then it is one of a run, and no person. A sender that is gone already
/// cannot be told from a person's `kill`.
fn own_sender(origin: &Origin) -> Option<SignalRow> {
    const LONGEST: usize = 200;
    let pid = u32::try_from(origin.process.as_ref()?.pid).ok()?;
    let stems = |mut pid: u32| {
        let me = std::process::id();
        while pid > 1 && pid != me {
            pid = linux::process(pid)?.parent;
        }
        (pid == me).then_some(())
    };
    (pid != std::process::id()).then_some(())?;
    stems(pid)?;
    Some(SignalRow {
        signal: signal_name(origin.signal).unwrap_or("a signal").to_owned(),
        pid,
        command: linux::command_line(pid).chars().take(LONGEST).collect(),
        agent: linux::Variables::of(pid).get("GT_ROLE").map(str::to_owned),
        at: chrono::Utc::now(),
    })
}

fn refuse(cancel: &Cancel, row: SignalRow) {
    say(&format!("\n{} from a process of the run is not obeyed: {} ({})\n", row.signal, row.command, row.pid));
    cancel.refuse(row);
}

/// Whether a terminal sent the signal, because somebody typed Ctrl-C.
fn is_typed(origin: &Origin) -> bool {
    origin.signal == SIGINT && origin.cause == Cause::Kernel
}

/// One byte for each signal that arrived outside.
const TYPED: u8 = b'^';
const SENT: u8 = b'!';

/// Takes each byte for a signal. At the end of the line nobody waits for the run any more, and it ends with its namespace.
fn obey(cancel: &Cancel, mut line: impl Read) {
    let mut byte = [0];
    while line.read_exact(&mut byte).is_ok() {
        received(cancel, byte == [TYPED]);
    }
    exit();
}

/// How many signals were passed on.
#[derive(Clone)]
pub(crate) struct PassedOn(Arc<AtomicU32>);

impl PassedOn {
    /// So far.
    pub(crate) fn count(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}

/// Passes signals on to the process inside from now on; the one that ends everything on the spot ends `child`, the process that
/// holds the namespace.
pub(crate) fn pass_on(mut line: ChildStdin, child: u32) -> Result<PassedOn, Failure> {
    let mut signals = SignalsInfo::<WithOrigin>::new(watched()).map_err(unwatched)?;
    let passed_on = PassedOn(Arc::default());
    let counted = passed_on.clone();
    thread("signals", move || {
        for origin in signals.forever() {
            let count = counted.0.fetch_add(1, Ordering::AcqRel) + 1;
            if count >= AT_ONCE {
                // The process inside has no time left to say it.
                say(STOPPED);
                linux::end(child, true);
            } else {
                // Whoever does not read any more has ended.
                _ = line.write_all(&[if is_typed(&origin) { TYPED } else { SENT }]);
            }
        }
    })?;
    Ok(passed_on)
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map(drop).map_err(|error| Failure::environment(format!("cannot start a thread: {error}")))
}

fn received(cancel: &Cancel, typed: bool) {
    if typed {
        below_what_was_typed();
    }
    match cancel.request() {
        0 | 1 => say("\ncancelling: keeping what was seen and ending the town (again to stop at once)\n"),
        2 => {
            say("\nstopping at once: the town's processes are killed\n");
            // Where no thread can be started, a third signal still ends Proctor.
            drop(std::thread::Builder::new().name("stop".to_owned()).spawn(|| {
                std::thread::sleep(FORCE_LIMIT);
                exit();
            }));
        }
        _ => exit(),
    }
}

/// Ends without looking back; `proctor clean` finds what is left.
fn exit() {
    // What changes on the screen may be what hangs.
    write(STOPPED);
    #[allow(clippy::exit, reason = "the person asked twice to stop at once")]
    std::process::exit(i32::from(code::cancelled()));
}

/// Standard error may be gone (SIGHUP); then there is nobody to tell.
fn say(text: &str) {
    aside(|| write(text));
}

fn write(text: &str) {
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}
