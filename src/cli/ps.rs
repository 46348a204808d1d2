//! `svc ps`: every process of services, with the columns of `ps axj`.

use clap::Args;

use super::ask;
use super::failure::{DONE, Failure};
use super::places::Places;
use super::screen::{Screen, printable};
use super::table::{Cell, Table};
use crate::protocol::control::{Process, Reply, What};

#[derive(Args, Debug)]
pub struct Options {
    /// The services; without a name, all
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

pub fn run(options: Options, places: &Places, screen: &mut Screen<'_>) -> Result<u8, Failure> {
    ask::check_names(&options.names)?;
    let all = options.names.is_empty();
    let reply =
        ask::ask(places, What::Processes { names: options.names, all }).map_err(|failure| match failure {
            Failure::Unknown(text) => Failure::Failed(text),
            other => other,
        })?;
    match reply {
        Reply::Processes { processes } if options.json => screen.say_json(&processes)?,
        Reply::Processes { processes } => {
            for line in table(&processes).lines(screen.width, screen.colour) {
                screen.say(line)?;
            }
        }
        other => return Err(ask::unexpected(&other)),
    }
    Ok(DONE)
}

fn table(processes: &[Process]) -> Table {
    let mut table = Table::new(&[
        "SERVICE", "PPID", "PID", "PGID", "SID", "TTY", "TPGID", "STAT", "UID", "TIME", "COMMAND",
    ]);
    for process in processes {
        table.row(vec![
            Cell::new(&process.service),
            Cell::number(process.ppid),
            Cell::number(process.pid),
            Cell::number(process.pgid),
            Cell::number(process.sid),
            Cell::new(printable(&process.tty)),
            Cell::number(process.tpgid),
            Cell::new(printable(&process.stat)),
            Cell::number(process.uid),
            Cell::number(printable(&process.time)),
            Cell::new(printable(&process.command)),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_are_those_of_ps_axj_with_the_service_in_front() {
        let process = Process {
            service: "web".to_owned(),
            ppid: 1,
            pid: 4711,
            pgid: 4711,
            sid: 4711,
            tty: "?".to_owned(),
            tpgid: -1,
            stat: "Ss".to_owned(),
            uid: 33,
            time: "0:01".to_owned(),
            command: "nginx: master process".to_owned(),
        };
        let expected = "\
SERVICE  PPID   PID  PGID   SID  TTY  TPGID  STAT  UID  TIME  COMMAND
web         1  4711  4711  4711  ?       -1  Ss     33  0:01  nginx: master process";
        assert_eq!(table(&[process]).lines(None, false).join("\n"), expected);
    }
}
