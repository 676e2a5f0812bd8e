//! `proctor view RUN`: the viewer of one run, with the query APIs over its store, on a port of this machine.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use proctor_harness::cycle::Cancel;
use proctor_store::{Store, Time, TimeRange};

use super::RunArg;
use crate::failure::{Failure, code};
use crate::services::listener::Listener;
use crate::services::queries;
use crate::{signals, terminal, view_api};

/// The viewer's port unless another is chosen; Gas Town's trace viewer has the same.
const PORT: u16 = 7428;

/// See [`crate::cli::Command::View`].
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  proctor view latest --open
  proctor view 7k3f --port 0
  curl 'http://127.0.0.1:7428/select/logsql/query?query=sling'

The run's telemetry answers at the paths of VictoriaMetrics (/api/v1/query, …) and VictoriaLogs
(/select/logsql/query) too. Ctrl-C ends the viewer.")]
pub(crate) struct Args {
    #[command(flatten)]
    run: RunArg,
    /// Open the page in the browser
    #[arg(long)]
    open: bool,
    /// Port of this machine to serve on; 0: any free one [default: 7428, or a free one when it is taken]
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
}

/// Serves until a signal.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    // What follows `#` is the page's own state: `proctor view 7k3f#agent=…` comes from a report.
    let (named, state) = match args.run.run.split_once('#') {
        Some((named, state)) => (named, Some(state)),
        None => (args.run.run.as_str(), None),
    };
    let run_dir = crate::places::find_run(named, &args.run.reports.reports)?;
    let router = router(&run_dir);
    let cancel = Cancel::new();
    signals::watch(&cancel)?;
    super::runtime()?.block_on(async {
        let mut listener = open(args.port, router).await?;
        let url = match state {
            Some(state) => format!("{}/#{state}", listener.url()),
            None => format!("{}/", listener.url()),
        };
        terminal::print(&format!("{url}\nserving {}; Ctrl-C ends it\n", terminal::relative(&run_dir).display()));
        if args.open {
            open_browser(&url);
        }
        tokio::select! {
            () = cancel.reached(1) => {}
            ended = listener.wait() => {
                ended.map_err(|error| Failure::environment(format!("the viewer ended: {error}")))?;
            }
        }
        listener.close().await;
        Ok(code::OK)
    })
}

/// The page and, when the run has a store that opens, the query APIs over it.
fn router(run_dir: &Path) -> Router {
    let page = view_api::router(run_dir.to_owned());
    match Store::open_read_only(&run_dir.join("evidence/telemetry")) {
        Ok(store) => {
            let end = newest(&store);
            page.merge(queries::routes(queries::Queries { store: Arc::new(store), now: Arc::new(move || end) }))
        }
        Err(_) => page,
    }
}

/// In a past run, "now" is its newest record.
fn newest(store: &Store) -> Time {
    let logs = store.logs(TimeRange::ALL).last().map(|record| record.time);
    let points = store.points(TimeRange::ALL).last().map(|point| point.time);
    logs.max(points).unwrap_or_default()
}

/// Binds the port that was asked for, or the usual one, or any.
async fn open(port: Option<u16>, router: Router) -> Result<Listener, Failure> {
    let failure = |halt: proctor_harness::Halt| Failure::environment(halt.message).maybe_hint(halt.hint);
    if let Some(port) = port {
        return Listener::open("viewer", "--port", port, router).await.map_err(failure);
    }
    match Listener::open("viewer", "--port", PORT, router.clone()).await {
        Ok(listener) => Ok(listener),
        Err(_) => Listener::open("viewer", "--port", 0, router).await.map_err(failure),
    }
}

/// A machine without a browser shows the address, which is printed already.
fn open_browser(url: &str) {
    let started = std::process::Command::new("xdg-open")
        .arg(url)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
    if started.is_err() {
        eprintln!("hint: no browser was found (xdg-open); open the address by hand");
    }
}
