//! `svc show`: every effective setting of services and where it comes from.

use clap::Args;

use super::disk::{self, Found};
use super::failure::{DONE, FAILED, Failure};
use super::places::Places;
use super::screen::{Screen, Style};
use super::table::{Cell, Table};
use crate::protocol::control::ShownValue;
use crate::service;

#[derive(Args, Debug)]
pub struct Options {
    /// The services
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Print one JSON object with the settings of each service
    #[arg(long)]
    json: bool,
    /// Only what differs from the default
    #[arg(long)]
    changed: bool,
}

pub fn run(options: Options, places: &Places, screen: &mut Screen<'_>) -> Result<u8, Failure> {
    let places = &places.of_running();
    let services = disk::named(places, &options.names)?;
    let mut code = DONE;
    let mut all = std::collections::BTreeMap::new();
    let several = services.len() > 1;
    for (index, Found { name, directory }) in services.into_iter().enumerate() {
        let shown = match service::shown(&directory, &name) {
            Ok(shown) => shown,
            Err(problems) => {
                screen.complain(problems);
                code = FAILED;
                continue;
            }
        };
        let values: Vec<ShownValue> = shown
            .into_iter()
            .map(|shown| ShownValue { key: shown.key, value: shown.value, source: shown.source })
            .filter(|shown| !options.changed || shown.source != "default")
            .collect();
        if options.json {
            all.insert(name.to_string(), values);
            continue;
        }
        if several {
            let gap = if index == 0 { "" } else { "\n" };
            let heading = screen.paint(Style::Bold, name.as_str());
            screen.say(format_args!("{gap}{heading}"))?;
        }
        print(&values, screen)?;
    }
    if options.json {
        screen.say_json(&all)?;
    }
    Ok(code)
}

fn print(values: &[ShownValue], screen: &mut Screen<'_>) -> Result<(), Failure> {
    let mut table = Table::new(&["KEY", "VALUE", "FROM"]);
    for ShownValue { key, value, source } in values {
        let style = if source == "default" { Style::Dim } else { Style::Plain };
        table.row(vec![Cell::new(key), Cell::new(value).styled(style), Cell::new(source).styled(style)]);
    }
    for line in table.lines(screen.width, screen.colour) {
        screen.say(line)?;
    }
    Ok(())
}
