//! What a command still waits for: one line of the terminal that is overwritten.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::ask;
use super::screen::Screen;
use crate::control::Client;
use crate::lifecycle::{Time, short};
use crate::protocol::control::{Reply, ServiceStatus, What};

/// Whoever waits shorter need not know what for.
const FIRST: Duration = Duration::from_millis(300);
const AGAIN: Duration = Duration::from_secs(1);
/// For a supervisor that is asked on the side.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// Services that are named; the others are counted.
const NAMED: usize = 3;

pub struct Progress {
    /// When the line is next shown; `None` where nobody looks.
    pub next: Option<Time>,
    shown: bool,
}

impl Progress {
    pub fn new(screen: &Screen<'_>, quiet: bool) -> Self {
        let watched = screen.err_is_terminal && !quiet;
        Self { next: watched.then(|| ask::now() + FIRST), shown: false }
    }

    pub fn is_due(&self) -> bool {
        self.next.is_some_and(|next| next <= ask::now())
    }

    pub fn show(&mut self, pending: &[ServiceStatus], screen: &mut Screen<'_>) {
        self.next = Some(ask::now() + AGAIN);
        if pending.is_empty() {
            return;
        }
        self.shown = true;
        screen.show_progress(&text(pending));
    }

    /// Before anything else is printed.
    pub fn clear(&mut self, screen: &mut Screen<'_>) {
        if self.shown {
            screen.show_progress("");
            self.shown = false;
        }
    }
}

fn text(pending: &[ServiceStatus]) -> String {
    let named: Vec<String> = pending
        .iter()
        .take(NAMED)
        .map(|service| {
            let time = Duration::try_from_secs_f64(service.for_seconds).unwrap_or_default();
            format!("{} ({} for {})", service.name, service.state, short(time))
        })
        .collect();
    let more = match pending.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("waiting for {}{more}", named.join(", "))
}

/// The state of what has not been answered yet, asked on a connection of its own. Empty when the
/// supervisor cannot say: then there is nothing to show.
pub fn pending(runtime_dir: &Path, names: &[String], answered: &BTreeSet<String>) -> Vec<ServiceStatus> {
    let Ok(mut client) = Client::connect_within(runtime_dir, Some(PATIENCE)) else { return Vec::new() };
    let left = names.iter().filter(|name| !answered.contains(*name)).cloned().collect();
    if client.send(What::Status { names: left, detail: false }).is_err() {
        return Vec::new();
    }
    match ask::receive(&mut client, Some(ask::now() + PATIENCE)) {
        Ok(Some(Reply::Status(status))) => {
            status.services.into_iter().filter(|service| !answered.contains(&service.name)).collect()
        }
        Ok(_) | Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::status::tests::service;
    use crate::lifecycle::StateWord;

    #[test]
    fn the_first_three_are_named_and_the_others_counted() {
        let mut web = service("web", StateWord::Stopping);
        web.for_seconds = 3.4;
        assert_eq!(text(&[web.clone()]), "waiting for web (stopping for 3.4s)");
        let many = vec![web; 5];
        assert!(text(&many).ends_with(", web (stopping for 3.4s) and 2 more"), "{}", text(&many));
    }

    #[test]
    fn nothing_is_shown_where_stderr_is_no_terminal() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let screen = Screen::into(&mut out, &mut err);
        assert_eq!(Progress::new(&screen, false).next, None);
    }
}
