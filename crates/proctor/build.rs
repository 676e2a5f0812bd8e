//! The shipped scenarios are compiled in; a change of one of their files must rebuild the crate.

fn main() {
    println!("cargo::rerun-if-changed=../../scenarios");
}
