//! Environments are found, made, verified and made again.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking, and a skipped one says so")]

use super::*;

fn wanted(cache: &Path, path: &str, named: Option<&str>) -> Wanted {
    let environment = BTreeMap::from([("PATH".to_owned(), path.to_owned())]);
    Wanted { named: named.map(PathBuf::from), packages: vec!["cryptography>=42.0".into()], cache: cache.to_owned(), environment }
}

#[tokio::test]
async fn no_interpreter_is_the_environments_fault_and_says_what_to_do() {
    let cache = tempfile::tempdir().unwrap();
    let halt = provide(&wanted(cache.path(), "/nowhere", None)).await.unwrap_err();
    assert_eq!(halt.kind, proctor_judge::evidence::StopKind::Environment);
    assert!(halt.message.contains("no Python was found"), "{halt}");
    assert!(halt.hint.unwrap().contains("--python PATH"));
}

#[tokio::test]
async fn an_interpreter_without_venv_is_named() {
    let cache = tempfile::tempdir().unwrap();
    let fake = cache.path().join("python3");
    fs::write(&fake, "#!/bin/sh\necho '{\"executable\": \"/x/python3\", \"version\": \"3.11.2\", \"venv\": false}'\n").unwrap();
    fs::set_permissions(&fake, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let halt = provide(&wanted(cache.path(), &cache.path().display().to_string(), None)).await.unwrap_err();
    assert!(halt.message.contains("without venv or ensurepip"), "{halt}");
}

#[tokio::test]
async fn a_named_program_that_is_no_python_is_refused() {
    let cache = tempfile::tempdir().unwrap();
    let halt = provide(&wanted(cache.path(), "/usr/bin:/bin", Some("/bin/echo"))).await.unwrap_err();
    assert!(halt.message.contains("is no Python 3"), "{halt}");
}

/// A wheel of one module, `thing`, in a folder of its own; absent where Python cannot make environments.
async fn with_a_wheel(root: &Path) -> Option<BTreeMap<String, String>> {
    let environment = BTreeMap::from([("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())]);
    if !interpreter(&environment).await.is_ok_and(|found| found.venv) {
        eprintln!("skipped: python3-venv not found");
        return None;
    }
    let code = r#"
import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + "/thing-1.5-py3-none-any.whl", "w") as wheel:
    wheel.writestr("thing.py", "VALUE = 5\n")
    wheel.writestr("thing-1.5.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.5\n")
    wheel.writestr("thing-1.5.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr("thing-1.5.dist-info/RECORD", "thing.py,,\nthing-1.5.dist-info/METADATA,,\nthing-1.5.dist-info/WHEEL,,\nthing-1.5.dist-info/RECORD,,\n")
"#;
    let wheels = root.join("wheels");
    fs::create_dir(&wheels).unwrap();
    let made = std::process::Command::new("python3").args(["-c", code]).arg(&wheels).status().unwrap();
    assert!(made.success());
    let more = [
        ("PIP_NO_INDEX", "1".to_owned()),
        ("PIP_FIND_LINKS", wheels.display().to_string()),
        ("HOME", root.display().to_string()),
    ];
    Some(environment.into_iter().chain(more.map(|(key, value)| (key.to_owned(), value))).collect())
}

fn thing(root: &Path, environment: BTreeMap<String, String>, requirement: &str) -> Wanted {
    Wanted { named: None, packages: vec![requirement.into()], cache: root.join("cache"), environment }
}

#[tokio::test]
async fn settings_that_lead_an_installation_elsewhere_do_not_reach_it() {
    let root = tempfile::tempdir().unwrap();
    let Some(mut environment) = with_a_wheel(root.path()).await else { return };
    let elsewhere = root.path().join("elsewhere");
    let config = root.path().join("pip.conf");
    fs::write(&config, format!("[install]\ntarget = {}\n[global]\nno-deps = true\n", elsewhere.display())).unwrap();
    for key in ["PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONUSERBASE", "PYTHONPATH"] {
        environment.insert(key.into(), elsewhere.display().to_string());
    }
    environment.insert("PIP_USER".into(), "1".into());
    environment.insert("PIP_REQUIRE_VIRTUALENV".into(), "1".into());
    environment.insert("PIP_CONFIG_FILE".into(), config.display().to_string());
    let wanted = thing(root.path(), environment, "thing>=1.0");
    let provided = provide(&wanted).await.unwrap();
    assert_eq!(provided.python.packages.get("thing").map(String::as_str), Some("1.5"));
    assert!(!elsewhere.exists());

    // It is as it was made, and used again.
    let again = provide(&wanted).await.unwrap();
    assert_eq!(again.watched.record("").made_again, None);

    // An environment that was emptied or otherwise changed is named and made again.
    let installed = glob(&wanted.cache.join("venvs"), "thing.py");
    fs::remove_file(&installed).unwrap();
    let mended = provide(&wanted).await.unwrap();
    let why = mended.watched.record("").made_again.unwrap();
    assert!(why.contains("thing.py is gone"), "{why}");
    assert!(installed.exists());

    // A change while exercises run is named with the step.
    fs::write(&installed, "VALUE = 6\n").unwrap();
    mended.watched.look("step ask".into()).await.unwrap();
    mended.watched.look("step later".into()).await.unwrap();
    let changes = mended.watched.record("").changes;
    let said: Vec<(bool, &str)> =
        changes.iter().map(|change| (change.what.ends_with("thing.py has another content"), change.during.as_str())).collect();
    assert_eq!(said, [(true, "step ask")]);

    // One of a Proctor that kept no list is made again too.
    let list = glob(&wanted.cache.join("venvs"), ".files.json");
    fs::remove_file(list).unwrap();
    let old = provide(&wanted).await.unwrap();
    assert_eq!(old.watched.record("").made_again.as_deref(), Some("it has no list of its files"));
}

#[tokio::test]
async fn a_named_interpreter_that_lacks_a_package_is_refused_with_the_reason() {
    let root = tempfile::tempdir().unwrap();
    let Some(environment) = with_a_wheel(root.path()).await else { return };
    let wanted = Wanted { named: Some("/usr/bin/python3".into()), ..thing(root.path(), environment, "thing>=2.0") };
    let halt = provide(&wanted).await.unwrap_err();
    assert!(halt.message.contains("lacks thing>=2.0: it is not installed"), "{halt}");
}

/// The one file below a folder whose path ends so.
fn glob(folder: &Path, end: &str) -> PathBuf {
    let files = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.unwrap().into_path());
    files.filter(|path| path.to_string_lossy().ends_with(end)).min_by_key(|path| path.components().count()).unwrap()
}
