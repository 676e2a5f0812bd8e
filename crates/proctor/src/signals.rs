//! Ctrl-C and SIGTERM: the first ends the run in order, the second ends Proctor at once.

use std::io::Write;

use proctor_harness::cycle::Cancel;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::{Failure, code};

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

/// What is left after the second signal is found by `proctor clean`.
fn received(cancel: &Cancel) {
    if cancel.request() < 2 {
        say("\ncancelling: keeping what was seen and ending the town (again to stop at once)\n");
        return;
    }
    say("\nstopped at once; what was left is ended and removed by: proctor clean\n");
    #[allow(clippy::exit, reason = "the person asked twice to stop at once")]
    std::process::exit(i32::from(code::cancelled()));
}

/// Standard error may be gone (SIGHUP); then there is nobody to tell.
fn say(text: &str) {
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}
