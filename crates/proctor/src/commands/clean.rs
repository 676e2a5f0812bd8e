//! `proctor clean`: ends and removes what earlier runs left behind, and nothing else.

use std::path::Path;

use proctor_harness::clean::{self, Left, Stray};

use crate::failure::{Failure, code};
use crate::{places, terminal};

/// See [`crate::cli::Command::Clean`].
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  proctor clean --dry-run      show what would be ended and removed
  proctor clean                do it
  proctor clean 7k3f           only what this run left, such as a town kept for `proctor attach`
  proctor clean --older        also folders that no registry names, such as those of older versions

What a run made stands in its registry, in proctor's cache; nothing else is believed.
Reports are not touched (see `proctor runs --keep N`), nor are runs in progress.")]
pub(crate) struct Args {
    /// Only this run's
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// Also remove folders of runs that no registry names: only the folders, and the processes that belong to them
    #[arg(long)]
    older: bool,
    /// Show what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Finds what is left, says it, and ends it.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let clean::Found { mut left, mut strays } = clean::find(&places::cache()?)?;
    if let Some(id) = &args.run {
        left.retain(|one| one.id == *id);
        strays.retain(|one| one.id == *id);
    }
    let (busy, left): (Vec<Left>, Vec<Left>) = left.into_iter().partition(|one| one.in_progress);
    for one in &busy {
        terminal::print(&format!("run {} is in progress: left alone\n", one.id));
    }
    if left.is_empty() && strays.is_empty() {
        terminal::print("nothing is left of earlier runs\n");
    }
    let mut answer = code::OK;
    for one in &left {
        terminal::print(&describe(one, args.dry_run));
        if let Some(failure) = remove(one, args.dry_run) {
            terminal::complain(&failure.to_string());
            answer = code::NO;
        }
    }
    for stray in &strays {
        if let Err(failure) = settle(stray, args) {
            terminal::complain(&failure.to_string());
            answer = code::NO;
        }
    }
    Ok(answer)
}

/// Names what no registry speaks for, and removes it when that was asked.
fn settle(stray: &Stray, args: &Args) -> Result<(), Failure> {
    let (path, why) = (stray.path.display(), &stray.why);
    if !args.older || !stray.removable {
        let hint = if stray.removable { "; `proctor clean --older` removes it" } else { "" };
        terminal::print(&format!("{path}: {why}: left alone{hint}\n"));
        return Ok(());
    }
    terminal::print(&format!("{} {path}: {why}\n", if args.dry_run { "would remove" } else { "removing" }));
    if args.dry_run { Ok(()) } else { clean::remove_stray(stray).map_err(Failure::from) }
}

fn remove(left: &Left, dry_run: bool) -> Option<Failure> {
    if dry_run {
        return None;
    }
    clean::remove(&left.base).err().map(Failure::from)
}

fn describe(left: &Left, dry_run: bool) -> String {
    let (end, remove) = if dry_run { ("would end", "would remove") } else { ("ending", "removing") };
    let mut text = String::new();
    for process in &left.processes {
        let whose = process.agent.as_deref().map(|agent| format!(" of {agent}")).unwrap_or_default();
        let command: String = process.command.chars().take(70).collect();
        text.push_str(&format!("{end} process {}{whose}: {command}\n", process.pid));
    }
    let size = left.bytes as f64 / 1e6;
    text.push_str(&format!("{remove} {} ({size:.1} MB)\n", left.base.display()));
    text
}

/// Ends and removes the town that this process itself kept.
pub(crate) fn remove_own(base: &Path) -> Result<(), Failure> {
    clean::remove(base).map_err(Failure::from)
}
