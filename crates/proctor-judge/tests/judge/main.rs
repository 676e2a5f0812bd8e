//! The judge over evidence on disk: causes and outcomes, checks, telemetry, reports.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop where it stands")]

mod blame;
mod causes;
mod checks;
mod compare;
mod exercises;
mod faults;
mod fence;
mod findings;
mod gastown;
mod losses;
mod origins;
mod reports;
mod sealing;
mod shown;
mod telemetry;
mod world;
