//! Orders as bytes: one after the other until the datagram ends.

use super::bytes::{DecodeError, Reader, Writer};
use super::{Order, plan};

/// Appends them; several calls make one datagram.
pub fn encode_orders(orders: &[Order], out: &mut Vec<u8>) {
    for order in orders {
        encode_order(order, out);
    }
}

pub fn encode_order(order: &Order, out: &mut Vec<u8>) {
    let mut out = Writer(out);
    match order {
        Order::Hello { version } => {
            out.byte(0);
            out.unsigned(*version);
        }
        Order::Launch { child, plan } => {
            out.byte(1);
            out.child(child);
            plan::write(&mut out, plan);
        }
        Order::Stand { child } => {
            out.byte(2);
            out.child(child);
        }
        Order::Unstand { child } => {
            out.byte(3);
            out.child(child);
        }
        Order::Signal { child, signal, group } => {
            out.byte(4);
            out.child(child);
            out.signal(*signal);
            out.flag(*group);
        }
        Order::Adopt { child, pid } => {
            out.byte(5);
            out.child(child);
            out.pid(*pid);
        }
        Order::Acknowledge { child, pid } => {
            out.byte(6);
            out.child(child);
            out.pid(*pid);
        }
        Order::OpenPipe { name } => {
            out.byte(7);
            out.name(name);
        }
        Order::ClosePipeWriter { name } => {
            out.byte(8);
            out.name(name);
        }
        Order::Forget { name } => {
            out.byte(9);
            out.name(name);
        }
        Order::Note { name, note } => {
            out.byte(10);
            out.name(name);
            out.bytes(note);
        }
        Order::Exit { code } => {
            out.byte(11);
            out.byte(*code);
        }
        Order::Tidy => out.byte(13),
        Order::Environment { number, variables } => {
            out.byte(12);
            out.unsigned(*number);
            out.bytes(variables);
        }
    }
}

/// All or nothing: a batch with an error in it is refused whole.
pub fn decode_orders(bytes: &[u8]) -> Result<Vec<Order>, DecodeError> {
    let mut from = Reader(bytes);
    let mut orders = Vec::new();
    while !from.is_empty() {
        orders.push(decode_order(&mut from)?);
    }
    Ok(orders)
}

fn decode_order(from: &mut Reader<'_>) -> Result<Order, DecodeError> {
    Ok(match from.byte()? {
        0 => Order::Hello { version: from.unsigned()? },
        1 => Order::Launch { child: from.child()?, plan: Box::new(plan::read(from)?) },
        2 => Order::Stand { child: from.child()? },
        3 => Order::Unstand { child: from.child()? },
        4 => Order::Signal { child: from.child()?, signal: from.signal()?, group: from.flag()? },
        5 => Order::Adopt { child: from.child()?, pid: from.pid()? },
        6 => Order::Acknowledge { child: from.child()?, pid: from.pid()? },
        7 => Order::OpenPipe { name: from.name()? },
        8 => Order::ClosePipeWriter { name: from.name()? },
        9 => Order::Forget { name: from.name()? },
        10 => Order::Note { name: from.name()?, note: from.bytes()?.to_vec() },
        11 => Order::Exit { code: from.byte()? },
        13 => Order::Tidy,
        12 => Order::Environment { number: from.unsigned()?, variables: plan::read_environment(from)? },
        _ => return Err(DecodeError::Invalid("order")),
    })
}
