//! CLIENT: what a client may know and say of itself, and how CLIENT LIST describes it.
//!
//! Source of the line's fields and of the replies: Redis 7.2.

use ringfort_core::args::Args;
use ringfort_core::command::SessionCommand;
use ringfort_core::error::{CommandResult, Error};
use ringfort_core::resp::Protocol;

use crate::connection::{Connection, Wait};
use crate::core::Core;
use crate::session_commands::reply_to;

/// A name as CLIENT SETNAME takes it: printable, without spaces.
pub fn checked_name(name: &[u8]) -> Result<String, Error> {
    printable(name).ok_or(Error::new(
        "ERR Client names cannot contain spaces, newlines or special characters.",
    ))
}

/// The text, if a line of CLIENT LIST can hold it.
fn printable(text: &[u8]) -> Option<String> {
    let fits = text.iter().all(|byte| (b'!'..=b'~').contains(byte));
    fits.then(|| String::from_utf8_lossy(text).into_owned())
}

/// The classes of clients that CLIENT LIST TYPE and CLIENT KILL TYPE know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientType {
    Normal,
    PubSub,
    Replica,
    Primary,
}

impl ClientType {
    pub fn parse(name: &[u8]) -> Result<Self, Error> {
        match name.to_ascii_lowercase().as_slice() {
            b"normal" => Ok(ClientType::Normal),
            b"pubsub" => Ok(ClientType::PubSub),
            b"master" => Ok(ClientType::Primary),
            b"replica" | b"slave" => Ok(ClientType::Replica),
            _ => Err(Error::text(format!(
                "ERR Unknown client type '{}'",
                String::from_utf8_lossy(name)
            ))),
        }
    }

    pub fn of(connection: &Connection) -> Self {
        let session = &connection.session;
        if connection.link.is_some() {
            ClientType::Primary
        } else if connection.replica.as_ref().is_some_and(|replica| replica.is_linked()) {
            ClientType::Replica
        } else if session.subscriptions + session.shard_subscriptions > 0 {
            ClientType::PubSub
        } else {
            ClientType::Normal
        }
    }
}

/// ON or OFF in argument 2.
fn switch(args: &Args) -> Result<bool, Error> {
    if args.is(2, "on") {
        Ok(true)
    } else if args.is(2, "off") {
        Ok(false)
    } else {
        Err(Error::SYNTAX)
    }
}

impl Core {
    pub fn client_session_command(
        &mut self,
        connection: &mut Connection,
        command: SessionCommand,
        args: &Args,
    ) -> CommandResult {
        use SessionCommand::*;
        match command {
            ClientInfo => {
                let line = self.describe(connection, args.bytes()) + "\n";
                reply_to(connection).verbatim("txt", &line);
            }
            ClientGetname => {
                let name = std::mem::take(&mut connection.session.name);
                let mut reply = reply_to(connection);
                if name.is_empty() {
                    reply.null()
                } else {
                    reply.text(&name)
                }
                connection.session.name = name;
            }
            ClientSetname => {
                connection.session.name = checked_name(&args[2])?;
                reply_to(connection).ok();
            }
            ClientSetinfo => {
                set_info(connection, args)?;
                reply_to(connection).ok();
            }
            ClientNoEvict => {
                connection.session.no_evict = switch(args)?;
                reply_to(connection).ok();
            }
            ClientNoTouch => {
                connection.session.caller.no_touch = switch(args)?;
                reply_to(connection).ok();
            }
            ClientGetredir => reply_to(connection).int(-1),
            ClientTrackinginfo => {
                let mut reply = reply_to(connection);
                reply.map(3);
                reply.text("flags");
                reply.set(1);
                reply.text("off");
                reply.text("redirect");
                reply.int(-1);
                reply.text("prefixes");
                reply.array(0);
            }
            Readonly | Readwrite | Asking => {
                return Err(Error::new("ERR This instance has cluster support disabled"));
            }
            _ => unreachable!("not a command on the client itself"),
        }
        Ok(())
    }

    /// The client's line in CLIENT LIST, without its end. `argument_bytes`: of the command that it is running.
    pub fn describe(&self, connection: &Connection, argument_bytes: usize) -> String {
        let session = &connection.session;
        let now = self.now.mono_ms();
        let seconds_since = |ms: u64| now.saturating_sub(ms) / 1000;
        let queued = session.transaction.as_ref();
        let queued_count = queued.map_or(-1, |transaction| transaction.queued.len() as i64);
        let queued_bytes = queued.map_or(0, |transaction| transaction.memory_bytes());
        let input_free = connection.input.capacity() - connection.input.len();
        let output_bytes = connection.output_memory_bytes();
        // What waits in the buffer to be sent next is Redis's reply buffer; the rest is its list of replies.
        let buffer_bytes = connection.output.capacity();
        let waiting_bytes = output_bytes - buffer_bytes;
        let total_bytes = connection.memory_bytes() + argument_bytes;
        format!(
            "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub={} psub={} ssub={} \
             multi={} qbuf={} qbuf-free={} argv-mem={} multi-mem={} rbs={} rbp={} obl={} oll={} omem={} \
             tot-mem={} events={} cmd={} user=default redir=-1 resp={} lib-name={} lib-ver={}",
            connection.id,
            connection.peer,
            connection.local,
            connection.file,
            session.name,
            seconds_since(connection.created_ms),
            seconds_since(connection.active_ms),
            flags(connection),
            session.database,
            session.subscriptions - session.patterns,
            session.patterns,
            session.shard_subscriptions,
            queued_count,
            connection.input.len(),
            input_free,
            argument_bytes,
            queued_bytes,
            buffer_bytes,
            buffer_bytes,
            connection.output.len(),
            connection.owed.len() + usize::from(connection.is_sending),
            waiting_bytes,
            total_bytes,
            events(connection),
            connection.last_command,
            if session.protocol == Protocol::Resp3 { 3 } else { 2 },
            session.library_name,
            session.library_version,
        )
    }
}

/// CLIENT SETINFO: the name or the version of the client's library.
fn set_info(connection: &mut Connection, args: &Args) -> CommandResult {
    let option = String::from_utf8_lossy(&args[2]);
    let session = &mut connection.session;
    let place = match option.to_ascii_lowercase().as_str() {
        "lib-name" => &mut session.library_name,
        "lib-ver" => &mut session.library_version,
        _ => return Err(Error::text(format!("ERR Unrecognized option '{option}'"))),
    };
    *place = printable(&args[3]).ok_or_else(|| {
        Error::text(format!("ERR {option} cannot contain spaces, newlines or special characters."))
    })?;
    Ok(())
}

/// One letter for each thing that is special about the client; N for nothing.
fn flags(connection: &Connection) -> String {
    let session = &connection.session;
    let letters = [
        (ClientType::of(connection) == ClientType::Replica, 'S'),
        (session.monitor, 'O'),
        (ClientType::of(connection) == ClientType::Primary, 'M'),
        (ClientType::of(connection) == ClientType::PubSub, 'P'),
        (session.in_transaction(), 'x'),
        (connection.wait == Wait::Paused, 'b'),
        (connection.close_after_reply, 'c'),
        (connection.is_unix(), 'U'),
        (session.no_evict, 'e'),
        (session.caller.no_touch, 'T'),
    ];
    let set: String = letters.iter().filter(|(set, _)| *set).map(|(_, letter)| *letter).collect();
    if set.is_empty() { "N".to_owned() } else { set }
}

/// What the socket is waited on for: r to read, w to write.
fn events(connection: &Connection) -> &'static str {
    match (!connection.receiving_paused, connection.is_sending) {
        (true, false) => "r",
        (true, true) => "rw",
        (false, true) => "w",
        (false, false) => "",
    }
}
