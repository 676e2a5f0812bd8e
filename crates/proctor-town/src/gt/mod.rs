//! The commands of `gt`.

mod convoy;
mod done;
mod keep;
mod look;
mod mail;
mod nudge;
mod queue;
mod rig;
mod setup;
mod sling;
mod town;
mod work;
mod worker;

use crate::args::Program;

pub(crate) use done::{HandIn, Step, Work, hand_in, step as done_step};

/// `gt`.
pub(crate) const PROGRAM: Program = Program {
    name: "gt",
    about: "Gas Town: a town of coding agents (the built-in town of Proctor)",
    verbs: &[
        setup::VERBS,
        rig::VERBS,
        keep::VERBS,
        sling::VERBS,
        work::VERBS,
        done::VERBS,
        convoy::VERBS,
        mail::VERBS,
        nudge::VERBS,
        queue::VERBS,
        worker::VERBS,
        look::VERBS,
        town::VERBS,
    ],
    aliases: &[
        ("mr", "mq"),
        ("ag", "agents"),
        ("stat", "status"),
        ("unhook", "unsling"),
        ("work", "hook"),
        ("recent", "trail"),
        ("recap", "trail"),
        ("mail show", "mail read"),
        ("mail ack", "mail mark-read"),
        ("mayor at", "mayor attach"),
        ("cat", "show"),
    ],
    flags: &[],
};
