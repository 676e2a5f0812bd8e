//! Agents that choose texts to harm whoever looks at the run: nothing of them acts, on a terminal, in a file or on a page.

use std::path::Path;

use crate::mini::{Mini, WORK};
use crate::sandbox::Ran;

/// Clears the screen, changes the window's title, writes the clipboard, reads backwards, hides, rings.
const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{1b}]52;c;eA==\u{7}\u{202e}gpj\u{2066}\u{200b}\u{9b}31m";

fn acts(c: char) -> bool {
    c != '\n' && c != '\t' && proctor_judge::visible(c.encode_utf8(&mut [0; 4])) != c.to_string()
}

#[track_caller]
fn is_harmless(what: &str, text: &str) {
    let bad = text.lines().find(|line| line.chars().any(acts));
    assert_eq!(bad, None, "{what}");
}

fn reports(dir: &Path) {
    let mut looked_at = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_file() {
            is_harmless(&name, &std::fs::read_to_string(&path).unwrap());
            looked_at += 1;
        }
    }
    assert!(looked_at >= 15, "{looked_at} files");
}

#[test]
fn what_agents_name_acts_nowhere() {
    let mini = Mini::new();
    // The south is never slung, so that its issue and the mayor's words stand in findings.
    let plan = format!(
        r#"north=$(cd "$GT_TOWN_ROOT/north" && bd create --title "North {HOSTILE}" --silent) || exit 1
south=$(cd "$GT_TOWN_ROOT/south" && bd create --title "South {HOSTILE}" --silent) || exit 1
gt convoy create Letters "$north" "$south" || exit 1
gt mail send mayor/ -s "Mail {HOSTILE}" -m "Body {HOSTILE}"
gt sling "$north"
printf '%s\n' "{HOSTILE}"
"#
    );
    mini.write("mini/script/plan.sh", &plan);
    mini.write("mini/script/work.sh", &WORK.replace("Letter ($issue)", &format!("Letter {HOSTILE}")));
    let run = mini.sandbox.proctor(&["run", "./mini", "--timeout", "15s"]).output().unwrap();
    let ran = Ran::of(run).expect_code(100);
    assert!(ran.stdout.contains("South \\x1b[2J\\x1b]0;owned\\x07"), "it is shown as it is:\n{}", ran.stdout);
    is_harmless("the run's own lines", &ran.stdout);
    is_harmless("the run's warnings", &ran.stderr);
    reports(&mini.sandbox.report());
    for args in [
        &["judge", "latest"][..],
        &["judge", "latest", "--json"],
        &["finding", "latest"],
        &["finding", "latest", "landed.not_slung"],
        &["finding", "latest", "landed.not_slung", "--markdown"],
        &["finding", "latest", "landed.not_slung", "--json"],
        &["compare", "latest", "latest"],
        &["runs"],
    ] {
        let output = mini.sandbox.proctor(args).output().unwrap();
        is_harmless(&args.join(" "), &String::from_utf8(output.stdout).unwrap());
        is_harmless(&args.join(" "), &String::from_utf8(output.stderr).unwrap());
    }
}

#[test]
fn what_is_typed_and_is_not_there_is_named_harmlessly() {
    let mini = Mini::new();
    for args in [&["judge", HOSTILE][..], &["run", HOSTILE], &["finding", HOSTILE], &["view", HOSTILE], &["validate", HOSTILE]] {
        let output = mini.sandbox.proctor(args).output().unwrap();
        is_harmless(args[0], &String::from_utf8(output.stdout).unwrap());
        is_harmless(args[0], &String::from_utf8(output.stderr).unwrap());
    }
}
