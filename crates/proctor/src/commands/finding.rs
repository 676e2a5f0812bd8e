//! `proctor finding RUN [ID]`: what the judge noticed, one finding with its evidence opened in place, or as a bug report.

use proctor_judge::{Finding, Judgement, Opened, Options, Summary};
use serde::Serialize;

use super::RunArg;
use crate::failure::{Failure, code};
use crate::places;
use crate::terminal::{self, Screen};

/// See [`crate::cli::Command::Finding`].
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  proctor finding latest
  proctor finding 7k3f landed.closed_not_merged
  proctor finding 7k3f identity.contradicted#2 --json          the second of that id
  proctor finding 7k3f gastown.merge_flag_ignored --markdown   a bug report to complete and send

The run is judged anew from its evidence; nothing is written.")]
pub(crate) struct Args {
    #[command(flatten)]
    run: RunArg,
    /// The finding, as the list names it
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// Print a bug report in Markdown
    #[arg(long, requires = "id", conflicts_with = "json")]
    markdown: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Judges, and shows all findings or the one that is named.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let run_dir = args.run.find()?;
    let judgement = proctor_judge::judge(&run_dir, &Options::default())?;
    match &args.id {
        None => list(&judgement.summary, args.json)?,
        Some(id) => {
            let finding = named(&judgement.summary, id)?;
            if args.markdown {
                terminal::print(&proctor_judge::bug_report(&run_dir, &judgement, finding)?);
            } else {
                one(&run_dir, &judgement, finding, args.json)?;
            }
        }
    }
    Ok(code::OK)
}

/// A finding under the name that this command takes.
#[derive(Serialize)]
struct Named<'a> {
    name: String,
    #[serde(flatten)]
    finding: &'a Finding,
}

/// A finding and what stands where it points.
#[derive(Serialize)]
struct InFull<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    opened: Vec<Opened>,
}

fn list(summary: &Summary, json: bool) -> Result<(), Failure> {
    if json {
        let names = summary.finding_names().into_iter();
        let rows: Vec<Named<'_>> = names.zip(&summary.findings).map(|(name, finding)| Named { name, finding }).collect();
        return terminal::print_json(&rows);
    }
    let screen = Screen::of_stdout();
    terminal::print(&proctor_judge::terminal::findings(summary, screen.style(), screen.width));
    Ok(())
}

fn one(run_dir: &std::path::Path, judgement: &Judgement, finding: &Finding, json: bool) -> Result<(), Failure> {
    let opened = proctor_judge::open(run_dir, judgement, finding)?;
    if json {
        return terminal::print_json(&InFull { finding, opened });
    }
    let screen = Screen::of_stdout();
    terminal::print(&proctor_judge::terminal::finding(finding, &opened, screen.style(), screen.width));
    Ok(())
}

fn named<'a>(summary: &'a Summary, id: &str) -> Result<&'a Finding, Failure> {
    summary.finding(id).ok_or_else(|| {
        let names = summary.finding_names();
        let near = places::nearest(id, names.iter().map(String::as_str));
        let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        Failure::usage(format!("run {} has no finding `{id}`{near}", summary.run.id))
            .hint(format!("its findings: {}", names.join(", ")))
    })
}
