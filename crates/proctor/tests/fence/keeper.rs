//! The keeper, and programs of the harness in fences.

use std::collections::BTreeMap;
use std::time::Duration;

use proctor_harness::keeper::Keeper;
use proctor_harness::process::{Fenced, Program};

use super::place::{Place, has};

fn env() -> BTreeMap<String, String> {
    BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())])
}

fn sh(script: &str) -> Program {
    Program::new("/bin/sh", &["-c", script]).env(&env())
}

async fn keeper(place: &Place) -> Keeper {
    Keeper::start(&place.launcher, &place.fence(), &env()).await.unwrap()
}

#[tokio::test]
async fn a_kept_program_is_like_any_other() {
    let place = Place::new();
    let keeper = keeper(&place).await;
    let mut program = sh("cat; echo $A; pwd; echo error >&2; exit 4").cwd(&place.mine).kept(&keeper);
    program.env.insert("A".into(), "b".into());
    program.stdin = Some(vec![b'x'; 1 << 20]);
    let here = Program { place: proctor_harness::process::Place::Here, ..program.clone() }.run().await.unwrap();
    let kept = program.run().await.unwrap();
    assert_eq!((kept.code, kept.signal, kept.timed_out), (Some(4), None, false));
    assert_eq!((kept.code, kept.out(), kept.said(), kept.cut), (here.code, here.out(), here.said(), here.cut));
    let signalled = sh("kill -9 $$").kept(&keeper).run().await.unwrap();
    assert_eq!((signalled.code, signalled.signal), (None, Some(9)));
    let late = sh("sleep 1000 & sleep 1000").timeout(Duration::from_millis(300)).kept(&keeper).run().await.unwrap();
    assert!(late.timed_out);
    let error = Program::new("/usr/bin/nonexistent", &[]).kept(&keeper).run().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(keeper.end().await.unwrap().is_empty());
}

#[tokio::test]
async fn kept_programs_are_inside_one_fence() {
    let place = Place::new();
    let keeper = keeper(&place).await;
    let outside = sh(&format!("touch {}/new", place.other.display())).kept(&keeper).run().await.unwrap();
    assert_eq!(outside.ok(), !has("landlock") && !has("namespaces"), "{}", outside.said());
    let begin = sh("sleep 1000 >/dev/null 2>&1 & echo $!").kept(&keeper).run().await.unwrap();
    let end = sh(&format!("kill {} && echo ended", begin.out().trim())).kept(&keeper).run().await.unwrap();
    assert_eq!(end.out().trim(), "ended", "{}", end.said());
    if has("landlock-scopes") {
        let parent = sh(&format!("kill -0 {}", keeper.pid())).kept(&keeper).run().await.unwrap();
        assert!(!parent.ok());
    }
    keeper.end().await.unwrap();
}

#[tokio::test]
async fn what_is_left_is_named_when_the_keeper_ends() {
    let place = Place::new();
    let keeper = keeper(&place).await;
    let left = sh("cd /; setsid env -i sleep 4321 >/dev/null 2>&1 & echo $!").kept(&keeper).run().await.unwrap();
    assert!(left.ok());
    let leftovers = keeper.end().await.unwrap();
    let names: Vec<&str> = leftovers.iter().map(|left| left.command.as_str()).collect();
    assert_eq!(names, ["sleep 4321"]);
    assert!(sh("true").kept(&keeper).run().await.is_err(), "a keeper that is gone starts nothing");
}

#[tokio::test]
async fn everything_ends_when_nobody_holds_the_keeper() {
    let place = Place::new();
    let keeper = keeper(&place).await;
    let fifo = place.mine.join("fifo");
    let made =
        sh(&format!("mkfifo {0} && (sleep 1000 > {0}) >/dev/null 2>&1 &", fifo.display())).kept(&keeper).run().await.unwrap();
    assert!(made.ok());
    let mut reading = sh(&format!("while [ ! -p {0} ]; do :; done; cat {0}; echo over", fifo.display()));
    reading.timeout = Duration::from_secs(60);
    let reading = tokio::spawn(reading.run());
    tokio::task::yield_now().await;
    drop(keeper);
    assert_eq!(reading.await.unwrap().unwrap().out().trim(), "over");
}

#[tokio::test]
async fn a_fence_that_cannot_be_set_up_keeps_nothing() {
    let place = Place::new();
    let fence = proctor_fence::Fence { write: vec!["/nonexistent".into()], ..place.bare() };
    let error = Keeper::start(&place.launcher, &fence, &env()).await.unwrap_err().to_string();
    assert!(error.contains("/nonexistent"), "{error}");
}

#[tokio::test]
async fn a_fenced_program_reports_what_it_left() {
    let place = Place::new();
    for (script, late) in
        [("setsid sleep 777 >/dev/null 2>&1 & exit 9", false), ("setsid sleep 777 >/dev/null 2>&1 & sleep 1000", true)]
    {
        let report = place.path().join(format!("report-{late}"));
        let fenced = Fenced { launcher: place.launcher.clone(), fence: place.fence(), report, cwd: None };
        let limit = if late { Duration::from_millis(500) } else { Duration::from_secs(30) };
        let ended = sh(script).timeout(limit).fenced(fenced).run().await.unwrap();
        assert_eq!((ended.code, ended.timed_out), (if late { None } else { Some(9) }, late));
        let fence = ended.fence.unwrap();
        assert!(fence.leftovers.iter().any(|left| left.command == "sleep 777"), "{fence:?}");
    }
}
