//! CLIENT subcommands that look at, or do something to, the clients of all cores.

use std::sync::Arc;

use ringfort_core::args::{Args, OwnedArgs};
use ringfort_core::command::NodeCommand;
use ringfort_core::error::Error;
use ringfort_core::number;

use crate::client::Client;
use crate::client_commands::ClientType;
use crate::connection::{Connection, Unblock};
use crate::core::Core;
use crate::pause::{PauseBy, PauseMode};
use crate::tasks::on_all_cores;

pub async fn run(client: Client, command: NodeCommand, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    match command {
        NodeCommand::ClientList => list(&client, &args.args()).await,
        NodeCommand::ClientKill => kill(&client, &args.args()).await,
        NodeCommand::ClientPause => pause(&client, &args.args()).await,
        NodeCommand::ClientUnpause => {
            on_all_cores(&client.core, |core| core.end_pause(PauseBy::Client)).await;
            Ok(client.reply(|reply| reply.ok()))
        }
        NodeCommand::ClientUnblock => unblock(&client, &args.args()).await,
        _ => unreachable!("not a command on clients"),
    }
}

/// Which clients CLIENT LIST shows.
enum Wanted {
    All,
    Type(ClientType),
    Ids(Vec<u64>),
}

impl Wanted {
    fn parse(args: &Args) -> Result<Self, Error> {
        match args.len() {
            2 => Ok(Wanted::All),
            4 if args.is(2, "type") => Ok(Wanted::Type(ClientType::parse(&args[3])?)),
            4.. if args.is(2, "id") => {
                let invalid = Error::new("ERR Invalid client ID");
                let ids = args.from(3);
                let ids = ids.iter().map(|id| number::parse_integer(id).ok_or(invalid.clone()));
                // No client has a negative id.
                let ids: Vec<i64> = ids.collect::<Result<_, _>>()?;
                Ok(Wanted::Ids(ids.into_iter().filter_map(|id| id.try_into().ok()).collect()))
            }
            _ => Err(Error::SYNTAX),
        }
    }

    fn takes(&self, connection: &Connection) -> bool {
        match self {
            Wanted::All => true,
            Wanted::Type(kind) => ClientType::of(connection) == *kind,
            Wanted::Ids(ids) => ids.contains(&connection.id),
        }
    }
}

async fn list(client: &Client, args: &Args<'_>) -> Result<Vec<u8>, Error> {
    let wanted = Arc::new(Wanted::parse(args)?);
    let (asking, argument_bytes) = (client.id, args.bytes());
    let on_cores = Arc::clone(&wanted);
    let parts = on_all_cores(&client.core, move |core| {
        let shown = core.connections().filter(|(_, connection)| on_cores.takes(connection));
        shown
            .map(|(_, connection)| {
                let bytes = if connection.id == asking { argument_bytes } else { 0 };
                (connection.id, core.describe(connection, bytes))
            })
            .collect::<Vec<_>>()
    })
    .await;
    let mut lines: Vec<(u64, String)> = parts.into_iter().flatten().collect();
    lines.sort();
    let mut text = String::new();
    let mut add = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    match &*wanted {
        // In the order asked for, and as often.
        Wanted::Ids(ids) => {
            for id in ids {
                if let Ok(place) = lines.binary_search_by_key(id, |(id, _)| *id) {
                    add(&lines[place].1);
                }
            }
        }
        _ => lines.iter().for_each(|(_, line)| add(line)),
    }
    Ok(client.reply(|reply| reply.verbatim("txt", &text)))
}

/// What a client must match to be killed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Filter {
    id: Option<u64>,
    kind: Option<ClientType>,
    address: Option<String>,
    local_address: Option<String>,
    skip_me: bool,
}

impl Filter {
    /// `CLIENT KILL <addr>`, or any number of filters.
    fn parse(args: &Args) -> Result<Self, Error> {
        let text = |arg: &[u8]| Some(String::from_utf8_lossy(arg).into_owned());
        if args.len() == 3 {
            return Ok(Filter { address: text(&args[2]), ..Filter::default() });
        }
        let mut filter = Filter { skip_me: true, ..Filter::default() };
        let mut at = 2;
        while at < args.len() {
            let value = args.get(at + 1).ok_or(Error::SYNTAX)?;
            if args.is(at, "id") {
                let id = number::parse_integer(value).filter(|id| *id > 0);
                let id = id.ok_or(Error::new("ERR client-id should be greater than 0"))?;
                filter.id = Some(id as u64);
            } else if args.is(at, "type") {
                filter.kind = Some(ClientType::parse(value)?);
            } else if args.is(at, "addr") {
                filter.address = text(value);
            } else if args.is(at, "laddr") {
                filter.local_address = text(value);
            } else if args.is(at, "user") {
                // All clients are the default user's.
                if value != b"default" {
                    let name = String::from_utf8_lossy(value);
                    return Err(Error::text(format!("ERR No such user '{name}'")));
                }
            } else if args.is(at, "skipme") {
                filter.skip_me = match value.to_ascii_lowercase().as_slice() {
                    b"yes" => true,
                    b"no" => false,
                    _ => return Err(Error::SYNTAX),
                };
            } else {
                return Err(Error::SYNTAX);
            }
            at += 2;
        }
        Ok(filter)
    }

    fn takes(&self, connection: &Connection, killer: u64) -> bool {
        self.id.is_none_or(|id| id == connection.id)
            && self.kind.is_none_or(|kind| kind == ClientType::of(connection))
            && self.address.as_ref().is_none_or(|address| *address == connection.peer)
            && self.local_address.as_ref().is_none_or(|address| *address == connection.local)
            && !(self.skip_me && connection.id == killer)
    }
}

async fn kill(client: &Client, args: &Args<'_>) -> Result<Vec<u8>, Error> {
    let filter = Arc::new(Filter::parse(args)?);
    let killer = client.id;
    let killed: usize = on_all_cores(&client.core, move |core| {
        let found = core.connections().filter(|(_, connection)| filter.takes(connection, killer));
        let found: Vec<(u32, u64)> = found.map(|(at, connection)| (at, connection.id)).collect();
        for (index, id) in &found {
            if *id != killer {
                core.close_connection(*index);
            } else if let Some(connection) = core.connection(*index) {
                // It reads its reply first.
                connection.close_after_reply = true;
            }
        }
        found.len()
    })
    .await
    .into_iter()
    .sum();
    let is_old_form = args.len() == 3;
    if is_old_form && killed == 0 {
        return Err(Error::new("ERR No such client"));
    }
    Ok(client.reply(|reply| if is_old_form { reply.ok() } else { reply.int(killed as i64) }))
}

/// CLIENT PAUSE timeout [WRITE|ALL]: answered when every core holds the commands back.
async fn pause(client: &Client, args: &Args<'_>) -> Result<Vec<u8>, Error> {
    let mode = match args.len() {
        3 => PauseMode::All,
        4 if args.is(3, "all") => PauseMode::All,
        4 if args.is(3, "write") => PauseMode::Write,
        4 => return Err(Error::new("ERR CLIENT PAUSE mode must be WRITE or ALL")),
        _ => return Err(wrong_arguments(args)),
    };
    let timeout_ms = number::parse_integer(&args[2])
        .ok_or(Error::new("ERR timeout is not an integer or out of range"))?;
    if timeout_ms < 0 {
        return Err(Error::new("ERR timeout is negative"));
    }
    if timeout_ms > i64::MAX - client.now {
        return Err(Error::new("ERR timeout is out of range"));
    }
    let until_ms = client.core.borrow().now.mono_ms() + timeout_ms as u64;
    let start = move |core: &mut Core| core.start_pause(PauseBy::Client, until_ms, mode);
    on_all_cores(&client.core, start).await;
    Ok(client.reply(|reply| reply.ok()))
}

/// CLIENT UNBLOCK id [TIMEOUT | ERROR].
async fn unblock(client: &Client, args: &Args<'_>) -> Result<Vec<u8>, Error> {
    let how = match args.len() {
        3 => Unblock::Timeout,
        4 if args.is(3, "timeout") => Unblock::Timeout,
        4 if args.is(3, "error") => Unblock::Error,
        4 => return Err(Error::new("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")),
        _ => return Err(wrong_arguments(args)),
    };
    let id = number::integer(&args[2])?;
    let ended = on_all_cores(&client.core, move |core| {
        let Some(connection) = core.client(id as u64) else { return false };
        let Some(call) = connection.blocked_on.take() else { return false };
        connection.unblocked = Some(how);
        core.calls.finish(call, Box::new(()));
        true
    })
    .await;
    Ok(client.reply(|reply| reply.int(i64::from(ended.contains(&true)))))
}

fn wrong_arguments(args: &Args) -> Error {
    let word = String::from_utf8_lossy(&args[1]).into_owned();
    Error::text(format!(
        "ERR unknown subcommand or wrong number of arguments for '{word}'. Try CLIENT HELP."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Filter, String> {
        let owned = OwnedArgs::new(line.split(' ').map(str::as_bytes));
        Filter::parse(&owned.args()).map_err(|error| error.0.into_owned())
    }

    #[test]
    fn filters_of_kill_are_parsed_in_any_order() {
        let filter = parse("CLIENT KILL SKIPME no id 7 Type PUBSUB laddr 1.2.3.4:5 user default");
        let expected = Filter {
            id: Some(7),
            kind: Some(ClientType::PubSub),
            local_address: Some("1.2.3.4:5".into()),
            ..Filter::default()
        };
        assert_eq!(filter, Ok(expected));
        let old = parse("CLIENT KILL 1.2.3.4:5").unwrap();
        assert_eq!((old.address.as_deref(), old.skip_me), (Some("1.2.3.4:5"), false));
    }

    #[test]
    fn bad_filters_of_kill_are_refused() {
        #[track_caller]
        fn check(filters: &str, error: &str) {
            assert_eq!(parse(&format!("CLIENT KILL {filters}")), Err(error.to_owned()));
        }
        check("id x", "ERR client-id should be greater than 0");
        check("id 0", "ERR client-id should be greater than 0");
        check("type foo", "ERR Unknown client type 'foo'");
        check("user bob", "ERR No such user 'bob'");
        check("skipme maybe", "ERR syntax error");
        check("addr 1.2.3.4:5 laddr", "ERR syntax error");
        check("maxage 10", "ERR syntax error");
    }
}
