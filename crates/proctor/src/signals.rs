//! Ctrl-C, SIGTERM and SIGHUP: the first ends the run in order, the second by force, the third ends Proctor on the spot.

use std::io::Write;
use std::time::Duration;

use proctor_harness::cycle::Cancel;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::{Failure, code};

/// How long ending by force may take after the second signal. Only what hangs, such as a disk, takes so long.
const FORCE_LIMIT: Duration = Duration::from_secs(2);

/// Hands signals to `cancel` from now on.
pub(crate) fn watch(cancel: &Cancel) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
        .map_err(|error| Failure::environment(format!("cannot watch for signals: {error}")))?;
    let cancel = cancel.clone();
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for _ in signals.forever() {
                received(&cancel);
            }
        })
        .map_err(|error| Failure::environment(format!("cannot start a thread: {error}")))?;
    Ok(())
}

fn received(cancel: &Cancel) {
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
    say("\nstopped; what was left is ended and removed by: proctor clean\n");
    #[allow(clippy::exit, reason = "the person asked twice to stop at once")]
    std::process::exit(i32::from(code::cancelled()));
}

/// Standard error may be gone (SIGHUP); then there is nobody to tell.
fn say(text: &str) {
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}
