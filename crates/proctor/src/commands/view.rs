//! `proctor view RUN`: the viewer of one run, with the query APIs over its store, on a port of this machine.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use proctor_harness::cycle::Cancel;
use proctor_store::{Store, StoreError};

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

/// The page, and the query APIs over the run's store as far as it has arrived.
fn router(run_dir: &Path) -> Router {
    let page = view_api::router(run_dir.to_owned());
    let arriving = Arc::new(Arriving::in_folder(run_dir.join("evidence/telemetry")));
    let store: Arc<dyn Fn() -> Result<Arc<Store>, String> + Send + Sync> = Arc::new(move || arriving.store());
    // The run's own clock: a run may be looked at long after it ended.
    let now = Arc::new(|store: &Store| store.clock().unwrap_or_default());
    page.merge(queries::routes(queries::Queries { store, now }))
}

/// The store of a run that may be in progress: opened when there is one, and brought up to date at each question.
struct Arriving {
    dir: PathBuf,
    open: Mutex<Option<Arc<Store>>>,
}

impl Arriving {
    fn in_folder(dir: PathBuf) -> Self {
        Self { dir, open: Mutex::default() }
    }

    fn store(&self) -> Result<Arc<Store>, String> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let told = |error: StoreError| format!("the run's telemetry cannot be read: {error}");
        let store = match &*open {
            Some(store) => {
                store.catch_up().map_err(told)?;
                Arc::clone(store)
            }
            None => Arc::new(Store::open_read_only(&self.dir).map_err(told)?),
        };
        *open = Some(Arc::clone(&store));
        Ok(store)
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

    use proctor_store::{Options, Signal};

    use super::*;

    const NOW: i64 = 1_795_329_578;

    fn arrive(store: &Store, seconds: i64, body: &str) {
        let record = format!(r#"{{"timeUnixNano":"{}000000000","body":{{"stringValue":"{body}"}}}}"#, NOW + seconds);
        let request = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{record}]}}]}}]}}"#);
        let at = chrono::DateTime::from_timestamp(NOW + seconds, 0).unwrap();
        store.ingest(Signal::Logs, request.as_bytes(), Some("application/json"), None, None, at).unwrap();
    }

    fn point(store: &Store, seconds: i64, value: i64) {
        let point = format!(r#"{{"timeUnixNano":"{}000000000","asInt":{value}}}"#, NOW + seconds);
        let request = format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"g","gauge":{{"dataPoints":[{point}]}}}}]}}]}}]}}"#
        );
        let at = chrono::DateTime::from_timestamp(NOW + seconds, 0).unwrap();
        store.ingest(Signal::Metrics, request.as_bytes(), Some("application/json"), None, None, at).unwrap();
    }

    async fn get(url: &str, path: &str) -> (u16, String) {
        let url = format!("{url}{path}");
        let ask = move || {
            let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
            let mut answer = agent.get(url).call().unwrap();
            (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
        };
        tokio::task::spawn_blocking(ask).await.unwrap()
    }

    #[tokio::test]
    async fn a_run_in_progress_answers_from_what_has_arrived() {
        let run = tempfile::tempdir().unwrap();
        let listener = Listener::open("test", "--port", 0, router(run.path())).await.unwrap();
        let url = listener.url();
        let recent = "/select/logsql/query?query=_time:1m%20%7C%20fields%20_msg";
        let (status, why) = get(&url, recent).await;
        assert_eq!(status, 503, "there is no store yet: {why}");
        let store = Store::create(&run.path().join("evidence/telemetry"), Options::default()).unwrap();
        arrive(&store, 0, "one");
        point(&store, 0, 1);
        assert_eq!(get(&url, recent).await, (200, "{\"_msg\":\"one\"}\n".to_owned()));
        assert!(get(&url, "/api/v1/query?query=g").await.1.contains("\"1\""));
        arrive(&store, 30, "two");
        point(&store, 30, 2);
        assert_eq!(get(&url, recent).await.1.lines().count(), 2);
        assert!(get(&url, "/api/v1/query?query=g").await.1.contains("\"2\""));
        arrive(&store, 600, "three");
        assert_eq!(get(&url, recent).await.1, "{\"_msg\":\"three\"}\n", "now moves on with the run");
        assert!(!get(&url, "/api/v1/query?query=g").await.1.contains("\"2\""), "a gauge is valid for five minutes");
        let (_, names) = get(&url, "/api/v1/label/__name__/values").await;
        assert!(names.contains("\"g\""), "{names}");
        listener.close().await;
    }

    #[tokio::test]
    async fn a_record_from_tomorrow_takes_no_gauge_away() {
        let run = tempfile::tempdir().unwrap();
        let store = Store::create(&run.path().join("evidence/telemetry"), Options::default()).unwrap();
        point(&store, 0, 1);
        let tomorrow = format!(r#"{{"timeUnixNano":"{}000000000","body":{{"stringValue":"x"}}}}"#, NOW + 86_400);
        let request = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{tomorrow}]}}]}}]}}"#);
        let at = chrono::DateTime::from_timestamp(NOW + 1, 0).unwrap();
        store.ingest(Signal::Logs, request.as_bytes(), Some("application/json"), None, None, at).unwrap();
        let listener = Listener::open("test", "--port", 0, router(run.path())).await.unwrap();
        assert!(get(&listener.url(), "/api/v1/query?query=g").await.1.contains("\"1\""));
        listener.close().await;
    }
}
