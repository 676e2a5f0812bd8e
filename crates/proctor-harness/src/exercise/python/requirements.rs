//! Whether the requirements are really in an environment: their versions fit, and they can be imported.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Wanted;
use super::interpreter::eval;
use crate::halt::Halt;

/// Lists the packages, and what is wrong with each requirement in `sys.argv`. What pip understands and the standard of requirements does
/// not (a path, an address) is left to pip.
const INSPECT: &str = r#"
import importlib, importlib.machinery, json, os, re, sys, sysconfig
from importlib import metadata
try:
    from packaging.requirements import Requirement
except ImportError:
    try:
        from pip._vendor.packaging.requirements import Requirement
    except ImportError:
        Requirement = None
out, sys.stdout = sys.stdout, sys.stderr

def modules(found):
    names = set()
    for file in found.files or []:
        parts = file.parts
        if len(parts) == 2 and parts[1] == "__init__.py":
            names.add(parts[0])
        if len(parts) == 1:
            names.update(parts[0][:-len(end)] for end in importlib.machinery.all_suffixes() if parts[0].endswith(end))
    return sorted((name for name in names if name.isidentifier()), key=lambda name: name.lower() != found.metadata["Name"].lower())

def wrong(text):
    name, fits = re.match(r"[A-Za-z0-9._-]*", text).group(0), None
    if Requirement:
        try:
            wanted = Requirement(text)
        except Exception:
            return None
        if wanted.marker and not wanted.marker.evaluate():
            return None
        name, fits = wanted.name, wanted.specifier
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return "it is not installed"
    if fits and not fits.contains(found.version, prereleases=True):
        return f"{found.version} is installed"
    said = None
    for module in modules(found):
        try:
            importlib.import_module(module)
            return None
        except BaseException as error:
            said = said or f"{module} cannot be imported ({type(error).__name__}: {error})"
    return said

problems = {text: wrong(text) for text in sys.argv[1:]}
packages = {d.metadata["Name"]: d.version for d in metadata.distributions() if d.metadata["Name"]}
own = [sys.prefix] if sys.prefix != sys.base_prefix else []
own += [os.path.dirname(path) for path in (sys.executable, os.path.realpath(sys.executable))]
own += [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
own += [sysconfig.get_config_var("LIBDIR")] + [path for path in sys.path if path]
json.dump({"folders": sorted({path for path in own if path and os.path.exists(path)}), "packages": packages, "wrong": [f"{text}: {why}" for text, why in problems.items() if why]}, out)
"#;

/// What is in an environment.
#[derive(Debug, Deserialize)]
pub(super) struct Inspected {
    /// Where the interpreter, its library and its packages lie.
    pub(super) folders: Vec<PathBuf>,
    /// Installed packages and their versions.
    pub(super) packages: BTreeMap<String, String>,
    /// Requirements that are not met, each with the reason.
    pub(super) wrong: Vec<String>,
}

/// Looks at what an interpreter finds.
pub(super) async fn inspect(program: &Path, wanted: &Wanted) -> Result<Inspected, Halt> {
    let requirements: Vec<&str> = wanted.packages.iter().map(String::as_str).collect();
    let text = eval(program, INSPECT, &requirements, wanted).await?;
    serde_json::from_str(&text)
        .map_err(|error| Halt::environment(format!("{} does not list its packages: {error}", program.display())))
}
