//! `proctor judge RUN`: the verdict again, from evidence alone. Nothing is executed, no port is opened.

use std::path::PathBuf;

use proctor_judge::Options;

use super::RunArg;
use crate::failure::Failure;
use crate::{scenarios, terminal};

/// See [`crate::cli::Command::Judge`].
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  proctor judge latest
  proctor judge /mnt/archive/20261122T101502Z-7k3f --no-write
  proctor judge 7k3f --scenario ./my-scenario     judge by checks that were changed since
  proctor judge 7k3f --digest 5f3c…               only if the evidence is what was sealed under this digest

Exit code: the verdict's own, as for `proctor run` (see `proctor --help`).")]
pub(crate) struct Args {
    #[command(flatten)]
    run: RunArg,
    /// Judge by the checks of this scenario instead of those that the run was made with
    #[arg(long, value_name = "SCENARIO")]
    scenario: Option<String>,
    /// Compare the evidence's seal with this digest, which was written down when the run ended; another one is never passed
    #[arg(long, value_name = "HEX", value_parser = parse_digest)]
    digest: Option<String>,
    /// Leave the run's reports as they are
    #[arg(long)]
    no_write: bool,
    /// Print summary.json
    #[arg(long)]
    json: bool,
}

fn parse_digest(text: &str) -> Result<String, String> {
    let digest = text.trim().to_ascii_lowercase();
    match digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(digest),
        false => Err("a digest has 64 hexadecimal digits: it stands as `sealed` in the last lines of a run, and in summary.json as `seal.digest`".into()),
    }
}

/// Judges, writes the reports, prints the verdict.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let run_dir = args.run.find()?;
    let checks = args.scenario.as_deref().map(scenarios::checks).transpose()?;
    let options = Options { checks, digest: args.digest.clone(), ..Options::default() };
    let judgement = proctor_judge::judge(&run_dir, &options)?;
    let written = if args.no_write { Ok(()) } else { proctor_judge::write_reports(&run_dir, &judgement) };
    let report = shown_report(&run_dir);
    terminal::verdict(&judgement.summary, &report, args.json)?;
    // The verdict stands even where its reports cannot, such as in an archive that is read-only.
    written.map_err(|error| Failure::from(error).hint("leave the reports as they are: --no-write"))?;
    Ok(judgement.summary.exit_code)
}

/// `report.html` as a person would type it from here.
fn shown_report(run_dir: &std::path::Path) -> PathBuf {
    terminal::relative(&run_dir.join("report.html"))
}
