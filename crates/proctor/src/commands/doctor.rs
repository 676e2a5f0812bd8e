//! `proctor doctor`: what this machine has of what a run needs, before anything starts.

use std::fs;
use std::path::{Path, PathBuf};

use proctor_harness::doctor::{self, Line, Places};

use crate::failure::{Failure, code, file_error};
use crate::personality::environment;
use crate::places;
use crate::terminal::{self, Screen};

use super::ReportsArg;
use super::town::Town;

/// See [`crate::cli::Command::Doctor`].
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  proctor doctor
  proctor doctor --town gastown
  PROCTOR_GASTOWN_BIN=~/gastown/bin proctor doctor --town gastown --json

Exit code: 0 when a run can be made, 102 when something is missing that it needs.")]
pub(crate) struct Args {
    /// The town that a run would be made on
    #[arg(long, value_enum, value_name = "TOWN", default_value_t = Town::Builtin)]
    town: Town,
    #[command(flatten)]
    reports: ReportsArg,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Looks, prints one line a thing, and says whether a run can be made.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let cache = places::cache()?;
    let home = Home::make(&cache)?;
    let environment = environment();
    let places = Places { cache: &cache, reports: &args.reports.reports, home: &home.0, environment: &environment };
    let lines = super::runtime()?.block_on(doctor::examine(args.town.kind(), places))?;
    let fit = doctor::fit(&lines);
    if args.json {
        terminal::print_json(&lines)?;
    } else {
        terminal::print(&doctor_text(&lines, args.town.kind().word(), fit));
    }
    Ok(if fit { code::OK } else { code::environment() })
}

fn doctor_text(lines: &[Line], town: &str, fit: bool) -> String {
    let mut text = terminal::doctor::render(lines, Screen::of_stdout());
    text.push_str(&if fit {
        format!("\na run on the town {town} can be made\n")
    } else {
        format!("\nno run on the town {town} can be made: see what is marked ✗\n")
    });
    text
}

/// An empty folder below the cache that is removed again.
struct Home(PathBuf);

impl Home {
    fn make(cache: &Path) -> Result<Self, Failure> {
        let home = cache.join("doctor").join(uuid::Uuid::new_v4().to_string());
        fs::create_dir_all(&home).map_err(|error| {
            file_error("cannot make a folder in the cache:", &home, &error)
                .hint("set XDG_CACHE_HOME to a folder that Proctor may write to")
        })?;
        Ok(Self(home))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What cannot be removed is in nobody's way; the folder above stays while another doctor uses it.
        _ = fs::remove_dir_all(&self.0);
        _ = self.0.parent().map(fs::remove_dir);
    }
}
