//! What cannot be said in Cargo.toml for one profile only.

fn main() {
    println!("cargo::rerun-if-changed=contrib/build.rs");
    let of = |key: &str| std::env::var(key).unwrap_or_default();
    // Nothing unwinds in a release build (panic = "abort"): nobody needs the index of the tables for it,
    // 50 KB that are read at every start.
    if of("PROFILE") == "release" && of("CARGO_CFG_TARGET_ENV") == "gnu" {
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
    }
}
