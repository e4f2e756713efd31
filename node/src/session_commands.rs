//! Commands that need only the connection they arrive on.

use ringfort_core::args::Args;
use ringfort_core::command::{SessionCommand, Spec, help, introspect};
use ringfort_core::error::{CommandResult, Error};
use ringfort_core::number;
use ringfort_core::resp::{Protocol, Reply};
use ringfort_core::sequencer::ShardSet;
use ringfort_core::session::{ReplyMode, Session, Transaction};
use ringfort_core::store::Key;
use ringfort_core::watch::Watcher;

use crate::connection::{Connection, Wait};
use crate::core::Core;
use crate::dispatch::Flow;
use crate::transaction::on_shard;

impl Core {
    /// [`Core::session_command`], counted.
    pub fn session_command_timed(
        &mut self,
        index: u32,
        connection: &mut Connection,
        command: SessionCommand,
        spec: &'static Spec,
        args: &Args,
    ) -> Flow {
        let result = self.session_command(index, connection, command, spec, args);
        let failed = result.is_err();
        let flow = match result {
            Ok(flow) => flow,
            Err(error) => {
                self.command_stats.error(error.0.as_bytes());
                if connection.session.caller.is_primary {
                    let counters = &self.shared.replication.counters;
                    counters.note_primary_error(spec, error.0.as_bytes());
                }
                let protocol = connection.session.protocol;
                Reply::new(connection.reply_buffer(), protocol).error(&error);
                Flow::Next
            }
        };
        if !matches!(flow, Flow::Wait(_)) {
            self.count_command(spec, args, connection.id, failed);
        }
        flow
    }

    fn session_command(
        &mut self,
        index: u32,
        connection: &mut Connection,
        command: SessionCommand,
        spec: &'static Spec,
        args: &Args,
    ) -> Result<Flow, Error> {
        use SessionCommand::*;
        match command {
            Watch => return self.watch(index, connection, args),
            Replconf => self.replconf(index, connection, args)?,
            Psync | Sync => return self.psync(index, connection, args),
            Unwatch => {
                self.unwatch(connection);
                reply_to(connection).ok();
            }
            Multi => {
                if connection.session.in_transaction() {
                    return Err(Error::NESTED_MULTI);
                }
                connection.session.transaction = Some(Transaction::default());
                reply_to(connection).ok();
            }
            Discard => {
                if connection.session.transaction.take().is_none() {
                    return Err(Error::DISCARD_WITHOUT_MULTI);
                }
                self.unwatch(connection);
                reply_to(connection).ok();
            }
            Exec => unreachable!("dispatched on its own"),
            Quit => {
                reply_to(connection).ok();
                return Ok(Flow::Close);
            }
            Reset => {
                self.forget_session(connection);
                connection.session = Session {
                    authenticated: self.settings.password.is_none(),
                    ..Session::default()
                };
                reply_to(connection).simple("RESET");
            }
            Select => {
                connection.session.database = self.database_named(&args[1])?;
                reply_to(connection).ok();
            }
            Auth => self.auth(connection, args)?,
            Hello => self.hello(connection, args)?,
            Ping => ping(connection, args)?,
            Echo => reply_to(connection).bulk(&args[1]),
            Time => {
                let us = ringfort_net::clock::wall_clock_us();
                let mut reply = reply_to(connection);
                reply.array(2);
                reply.bulk_int(us / 1_000_000);
                reply.bulk_int(us % 1_000_000);
            }
            ClientId => {
                let id = connection.id as i64;
                reply_to(connection).int(id);
            }
            ClientReply => {
                let mode = if args.is(2, "on") {
                    ReplyMode::On
                } else if args.is(2, "off") {
                    ReplyMode::Off
                } else if args.is(2, "skip") {
                    if connection.session.reply_mode == ReplyMode::Off {
                        ReplyMode::Off
                    } else {
                        ReplyMode::Skip
                    }
                } else {
                    return Err(Error::SYNTAX);
                };
                connection.session.reply_mode = mode;
                if mode == ReplyMode::On {
                    reply_to(connection).ok();
                }
            }
            Command
            | CommandCount
            | CommandInfo
            | CommandDocs
            | CommandList
            | CommandGetkeys
            | CommandGetkeysandflags => introspect::run(command, &mut reply_to(connection), args)?,
            Help => help::write_help(&mut reply_to(connection), spec),
            Lolwut => crate::lolwut::lolwut(&mut reply_to(connection), args)?,
            ClientInfo | ClientGetname | ClientSetname | ClientSetinfo | ClientNoEvict
            | ClientNoTouch | ClientGetredir | ClientTrackinginfo | Readonly | Readwrite
            | Asking => self.client_session_command(connection, command, args)?,
        }
        Ok(Flow::Next)
    }

    /// SELECT's argument.
    pub fn database_named(&self, name: &[u8]) -> Result<usize, Error> {
        let database = usize::try_from(number::int32(name)?).ok();
        database
            .filter(|database| *database < self.settings.databases)
            .ok_or(Error::DB_OUT_OF_RANGE)
    }

    /// WATCH: keys of this shard at once, others by a task.
    fn watch(
        &mut self,
        index: u32,
        connection: &mut Connection,
        args: &Args,
    ) -> Result<Flow, Error> {
        if connection.session.in_transaction() {
            return Err(Error::WATCH_INSIDE_MULTI);
        }
        if connection.remote > 0 {
            return Ok(Flow::Wait(Wait::Remote));
        }
        let database = connection.session.database;
        let watcher = Watcher(connection.id);
        let now = self.now.wall_ms;
        let mut elsewhere: Vec<(usize, Box<[u8]>)> = Vec::new();
        for bytes in args.from(1).iter() {
            let key = self.shard.hasher.key(bytes);
            if connection.session.watched.iter().any(|(db, k)| *db == database && **k == *bytes) {
                continue;
            }
            connection.session.watched.push((database, bytes.into()));
            let shard = self.shard_of(key.slot);
            if shard == self.id && !self.gate.is_stopped() {
                self.watch_here(watcher, database, &key, now);
            } else {
                elsewhere.push((shard, bytes.into()));
            }
        }
        if elsewhere.is_empty() {
            reply_to(connection).ok();
            return Ok(Flow::Next);
        }
        let shards: ShardSet = elsewhere.iter().map(|(shard, _)| *shard).collect();
        Ok(self.start_task(index, connection, move |client| async move {
            let watches = elsewhere.into_iter().map(|(shard, bytes)| {
                on_shard(&client.core, shard, move |core| {
                    let key = core.shard.hasher.key(&bytes);
                    core.watch_here(watcher, database, &key, now);
                })
            });
            futures_util::future::join_all(watches).await;
            if client.with_connection(|_, _| ()).is_none() {
                // Closed meanwhile: a shard that was stopped forgot its watches before it had them.
                let mut core = client.core.borrow_mut();
                for shard in shards.iter() {
                    core.post(shard, move |core| core.shard.watches.unwatch(watcher));
                }
            }
            client.reply(|reply| reply.ok())
        }))
    }

    fn watch_here(&mut self, watcher: Watcher, database: usize, key: &Key, now: i64) {
        let expired = self.shard.databases[database]
            .get(key)
            .and_then(|entry| entry.expire_at())
            .is_some_and(|at| now > at);
        self.shard.watches.watch(watcher, database, key.bytes, expired);
    }

    fn auth(&mut self, connection: &mut Connection, args: &Args) -> CommandResult {
        let (user, password) = match args.len() {
            2 => (&b"default"[..], args.at(1)),
            3 => (args.at(1), args.at(2)),
            _ => return Err(Error::SYNTAX),
        };
        if args.len() == 2 && self.settings.password.is_none() {
            return Err(Error::new(
                "ERR AUTH <password> called without any password configured for the default user. Are you sure \
                 your configuration is correct?",
            ));
        }
        self.authenticate(connection, user, password)?;
        reply_to(connection).ok();
        Ok(())
    }

    fn authenticate(
        &mut self,
        connection: &mut Connection,
        user: &[u8],
        password: &[u8],
    ) -> CommandResult {
        let right = match &self.settings.password {
            // The default user without a password takes any.
            None => true,
            Some(expected) => is_same_secret(expected, password),
        };
        if user != b"default" || !right {
            return Err(Error::new(
                "WRONGPASS invalid username-password pair or user is disabled.",
            ));
        }
        connection.session.authenticated = true;
        Ok(())
    }

    /// HELLO [version [AUTH user password] [SETNAME name]].
    fn hello(&mut self, connection: &mut Connection, args: &Args) -> CommandResult {
        let mut protocol = connection.session.protocol;
        if let Some(version) = args.get(1) {
            let version = number::parse_integer(version)
                .ok_or(Error::new("ERR Protocol version is not an integer or out of range"))?;
            protocol = match version {
                2 => Protocol::Resp2,
                3 => Protocol::Resp3,
                _ => return Err(Error::new("NOPROTO unsupported protocol version")),
            };
        }
        let mut at = 2;
        let mut name = None;
        let mut credentials = None;
        while at < args.len() {
            let left = args.len() - at - 1;
            if args.is(at, "auth") && left >= 2 {
                credentials = Some((args.at(at + 1), args.at(at + 2)));
                at += 3;
            } else if args.is(at, "setname") && left >= 1 {
                name = Some(crate::client_commands::checked_name(args.at(at + 1))?);
                at += 2;
            } else {
                let option = String::from_utf8_lossy(args.at(at)).into_owned();
                return Err(Error::text(format!("ERR Syntax error in HELLO option '{option}'")));
            }
        }
        if let Some((user, password)) = credentials {
            self.authenticate(connection, user, password)?;
        }
        if !connection.session.authenticated {
            return Err(Error::new(
                "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> \
                 AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol \
                 version at the same time",
            ));
        }
        if let Some(name) = name {
            connection.session.name = name;
        }
        connection.session.protocol = protocol;
        let id = connection.id as i64;
        let mut reply = reply_to(connection);
        reply.map(7);
        reply.text("server");
        reply.text("redis");
        reply.text("version");
        reply.text(crate::config::REDIS_VERSION);
        reply.text("proto");
        reply.int(if protocol == Protocol::Resp3 { 3 } else { 2 });
        reply.text("id");
        reply.int(id);
        reply.text("mode");
        reply.text("standalone");
        reply.text("role");
        reply.text("master");
        reply.text("modules");
        reply.array(0);
        Ok(())
    }

    /// Undoes what the session holds outside the connection: watches, subscriptions, MONITOR.
    pub fn forget_session(&mut self, connection: &mut Connection) {
        if !connection.session.watched.is_empty() {
            self.unwatch(connection);
        }
        self.forget_subscriptions(connection);
        if connection.session.monitor {
            self.end_monitor(connection);
        }
    }
}

/// The writer of a connection's next reply.
pub fn reply_to(connection: &mut Connection) -> Reply<'_> {
    let protocol = connection.session.protocol;
    Reply::new(connection.reply_buffer(), protocol)
}

fn ping(connection: &mut Connection, args: &Args) -> CommandResult {
    if args.len() > 2 {
        return Err(Error::arity("ping"));
    }
    let subscriber = connection.session.is_subscriber_only();
    let mut reply = reply_to(connection);
    if subscriber {
        reply.array(2);
        reply.text("pong");
        reply.bulk(args.get(1).unwrap_or_default());
    } else {
        match args.get(1) {
            None => reply.simple("PONG"),
            Some(text) => reply.bulk(text),
        }
    }
    Ok(())
}

/// Compares in a time that does not tell how much of a guess is right.
fn is_same_secret(expected: &[u8], given: &[u8]) -> bool {
    let mut difference = expected.len() ^ given.len();
    for (at, byte) in given.iter().enumerate() {
        difference |= usize::from(byte ^ expected.get(at).copied().unwrap_or(0));
    }
    difference == 0
}
