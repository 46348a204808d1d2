//! The words of the control socket: the examples of the documentation, and hostile bytes.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::Value;
use svc::lifecycle::{Signal, Verb};
use svc::protocol::control::{REQUEST_BYTES_MAX, Reply, Request, VERSION, What, line};

const PAGE: &str = include_str!("../contrib/doc/control-protocol.md");

fn examples(mark: &str) -> Vec<&'static str> {
    let lines: Vec<&str> = PAGE.lines().filter_map(|line| line.strip_prefix(mark)).collect();
    assert!(lines.len() > 8, "the page has lost its examples");
    lines
}

#[test]
fn every_request_of_the_documentation_is_read_and_written_as_it_stands_there() {
    let mut kinds = BTreeSet::new();
    for text in examples("> ") {
        let request = Request::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
        let written = String::from_utf8(line(&request).unwrap()).unwrap();
        assert_eq!(written.trim_end(), text);
        kinds.insert(serde_json::to_value(&request).unwrap()["request"].as_str().unwrap().to_owned());
    }
    let all = ["act", "events", "ping", "processes", "rescan", "show", "shutdown", "status", "why"];
    assert!(kinds.iter().eq(&all), "{kinds:?}");
}

#[test]
fn every_reply_of_the_documentation_is_read_and_written_as_it_stands_there() {
    let mut kinds = BTreeSet::new();
    for text in examples("< ") {
        let reply: Reply = serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let written = String::from_utf8(line(&reply).unwrap()).unwrap();
        assert_eq!(written.trim_end(), text);
        kinds.insert(serde_json::to_value(&reply).unwrap()["reply"].as_str().unwrap().to_owned());
    }
    assert_eq!(kinds.len(), 11, "all kinds have an example: {kinds:?}");
}

#[test]
fn what_may_be_left_out_has_a_default() {
    let read = |text: &str| Request::parse(text.as_bytes()).unwrap().what;
    assert_eq!(
        read(r#"{"version":1,"request":"act","verb":"down","all":true}"#),
        What::Act { verb: Verb::Down, names: vec![], all: true, wait: true }
    );
    assert_eq!(
        read(r#"{"version":1,"request":"act","verb":{"signal":64},"names":["web"],"wait":false}"#),
        What::Act { verb: Verb::Signal(Signal(64)), names: vec!["web".into()], all: false, wait: false }
    );
    assert_eq!(read(r#"{"version":1,"request":"status"}"#), What::Status { names: vec![], detail: false });
    assert_eq!(read(r#"{"version":1,"request":"events"}"#), What::Events { names: vec![] });
    assert_eq!(read(r#"{"request":"ping","added":"later","version":1}"#), What::Ping);
}

#[test]
fn only_the_last_reply_to_a_request_ends_it() {
    for text in examples("< ") {
        let reply: Reply = serde_json::from_str(text).unwrap();
        let goes_on = ["outcome", "transition", "shutting_down"];
        let kind = serde_json::to_value(&reply).unwrap()["reply"].as_str().unwrap().to_owned();
        assert_eq!(reply.is_last(), !goes_on.contains(&kind.as_str()), "{kind}");
    }
}

#[test]
fn a_signal_number_that_no_kernel_has_is_refused() {
    for number in ["0", "65", "-1", "99999999999"] {
        let text = format!(r#"{{"version":1,"request":"act","verb":{{"signal":{number}}},"all":true}}"#);
        assert!(Request::parse(text.as_bytes()).is_err(), "{number}");
    }
}

#[test]
fn a_request_that_is_too_long_is_refused_before_it_is_read() {
    let error = Request::parse(&vec![b'['; REQUEST_BYTES_MAX + 1]).unwrap_err();
    assert_eq!(error, "a request has at most 262144 bytes");
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z\\x00-\\x1f\"\\\\é]{0,8}".prop_map(Value::from),
        prop::sample::select(vec!["up", "act", "status", "signal", "web"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let key =
            prop::sample::select(vec!["version", "request", "verb", "names", "all", "wait", "signal", "x"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..5)
                .prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_give_a_request_or_an_error_in_words(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Err(error) = Request::parse(&bytes) {
            prop_assert!(!error.is_empty() && !error.contains('\n'));
        }
    }

    #[test]
    fn any_json_gives_a_request_or_an_error_in_words(value in json(), kind in "[a-z]{0,9}") {
        let mut value = value;
        if let Value::Object(fields) = &mut value {
            fields.insert("version".into(), VERSION.into());
            fields.entry("request").or_insert(Value::from(kind));
        }
        match Request::parse(value.to_string().as_bytes()) {
            Ok(request) => {
                let again = line(&request).unwrap();
                prop_assert_eq!(Request::parse(again.trim_ascii_end()), Ok(request));
            }
            Err(error) => prop_assert!(!error.is_empty() && !error.contains('\n')),
        }
    }

    #[test]
    fn every_name_survives_the_way_there(names in prop::collection::vec(".{0,20}", 1..5)) {
        let request = Request::new(What::Act { verb: Verb::Up, names, all: false, wait: true });
        let sent = line(&request).unwrap();
        prop_assert_eq!(sent.iter().filter(|byte| **byte == b'\n').count(), 1);
        prop_assert_eq!(Request::parse(sent.trim_ascii_end()), Ok(request));
    }
}
