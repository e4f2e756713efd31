//! The client of a task: what a command that several cores take part in needs to know of its connection.

use std::cell::RefCell;
use std::rc::Rc;

use ringfort_core::args::Args;
use ringfort_core::effect::Effects;
use ringfort_core::error::Error;
use ringfort_core::keys::Caller;
use ringfort_core::resp::{Protocol, Reply};
use ringfort_core::sequencer::ShardSet;

use crate::connection::{Connection, Wait};
use crate::core::Core;
use crate::dispatch::Flow;
use crate::execute::Context;
use crate::tasks::CoreHandle;
use crate::transaction::{Stopped, stop};

/// A connection whose command runs as a task.
#[derive(Clone)]
pub struct Client {
    /// The connection's core.
    pub core: CoreHandle,
    pub index: u32,
    pub generation: u32,
    /// CLIENT ID.
    pub id: u64,
    pub database: usize,
    pub protocol: Protocol,
    pub caller: Caller,
    /// Milliseconds since the Unix epoch, one value for the whole command or transaction.
    pub now: i64,
    /// It runs inside EXEC, with all shards that it may need stopped already.
    pub inside: bool,
    /// What a replica must run to follow, in order; published as one piece before the shards are released.
    pub effects: Rc<RefCell<Effects>>,
}

impl Client {
    /// A reply in this client's protocol.
    pub fn reply(&self, write: impl FnOnce(&mut Reply)) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut Reply::new(&mut bytes, self.protocol));
        bytes
    }

    pub fn error(&self, error: Error) -> Vec<u8> {
        self.core.borrow_mut().command_stats.error(error.0.as_bytes());
        self.reply(|reply| reply.error(&error))
    }

    pub fn context(&self) -> Context {
        Context {
            database: self.database,
            protocol: self.protocol,
            caller: self.caller,
            client: self.id,
            now: self.now,
        }
    }

    /// Works on the client's connection, if it is still there.
    pub fn with_connection<R>(
        &self,
        work: impl FnOnce(&mut Core, &mut Connection) -> R,
    ) -> Option<R> {
        let mut core = self.core.borrow_mut();
        core.connection_of(self.index, self.generation)?;
        let mut connection = core.take_connection(self.index)?;
        let result = work(&mut core, &mut connection);
        core.put_connection(self.index, connection);
        Some(result)
    }

    /// Stops `shards`, unless a transaction that this command is part of has them stopped.
    pub async fn enter(&self, shards: ShardSet) -> Option<Stopped> {
        if self.inside { None } else { Some(stop(&self.core, shards).await) }
    }

    /// To be asked once the shards have stopped: the node may have become a replica while the command waited, and
    /// what it writes would be in nobody's log.
    pub fn check_role(&self, writes: bool) -> Result<(), Error> {
        let core = self.core.borrow();
        let refused = writes
            && !self.caller.is_primary
            && core.shared.replication.is_replica()
            && core.config.replication.replica_read_only;
        if refused { Err(Error::READ_ONLY) } else { Ok(()) }
    }

    /// Undoes [`Client::enter`]: publishes what the command did, then lets the shards go on.
    pub fn leave(&self, stopped: Option<Stopped>) {
        if let Some(stopped) = stopped {
            stopped.release_with(&self.core, &mut self.effects.borrow_mut());
        }
    }

    /// The effect of a command that is replicated as it is.
    pub fn add_effect(&self, args: &Args) {
        let mut effects = self.effects.borrow_mut();
        effects.enabled = self.core.borrow().shard.effects.enabled;
        effects.verbatim(self.database, args);
    }

    /// Effects that a shard had while it was stopped for this command.
    pub fn add_effects(&self, effects: Effects) {
        self.effects.borrow_mut().append_all(effects);
    }
}

impl Core {
    /// Starts a task that answers the command of a connection; its input goes on after the answer.
    pub fn start_task<F, T>(&mut self, index: u32, connection: &mut Connection, task: F) -> Flow
    where
        F: FnOnce(Client) -> T,
        T: Future<Output = Vec<u8>> + 'static,
    {
        let handle: CoreHandle = self.handle.upgrade().expect("the loop holds the core");
        let client = Client {
            core: Rc::clone(&handle),
            index,
            generation: self.generation(index),
            id: connection.id,
            database: connection.session.database,
            protocol: connection.session.protocol,
            caller: connection.session.caller,
            now: self.now.wall_ms,
            inside: false,
            effects: Rc::default(),
        };
        let (index, generation) = (client.index, client.generation);
        let future = task(client);
        self.new_tasks.push(Box::pin(async move {
            let reply = future.await;
            handle.borrow_mut().finish_task(index, generation, &reply);
        }));
        Flow::Taken(Wait::Task)
    }

    /// A task's answer for a connection that waits for it.
    fn finish_task(&mut self, index: u32, generation: u32, reply: &[u8]) {
        let Some(connection) = self.connection_of(index, generation) else {
            return;
        };
        debug_assert_eq!(connection.wait, Wait::Task);
        connection.wait = Wait::None;
        if connection.take_reply_wish() {
            connection.reply_buffer().extend_from_slice(reply);
        }
        connection.release_pushes();
        self.resume.push(index);
    }
}
