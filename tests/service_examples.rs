//! The directories of `services/` are models: nothing is wrong with them.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use svc::lifecycle::{Kind, Name};
use svc::service;

#[test]
fn every_example_service_is_right() {
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("services");
    let checked = service::check_all(&services).unwrap();
    let names: Vec<String> =
        checked.iter().filter_map(|checked| checked.name.as_ref()).map(Name::to_string).collect();
    assert_eq!(names, ["crasher", "memcached", "nginx", "postgresql", "redis", "setup", "ticker", "worker"]);
    for checked in checked {
        assert!(checked.problems.is_empty(), "{}", checked.problems);
    }
}

#[test]
fn programs_that_may_be_missing_are_not_started_at_boot() {
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("services");
    for (name, enabled) in [("ticker", true), ("setup", true), ("nginx", false), ("postgresql", false)] {
        let definition = service::read(&services.join(name), &Name::new(name).unwrap()).service.unwrap();
        assert_eq!(definition.policy.enabled, enabled, "{name}");
        assert_eq!(definition.policy.kind == Kind::Oneshot, name == "setup");
    }
}
