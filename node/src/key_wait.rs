//! Clients that wait for their keys (BLPOP and its kin), from the first try to the reply.
//!
//! A command that finds nothing says so ([`ringfort_core::cx::Cx::wait`]) and its client is parked: a task on the client's
//! core, its home, and an entry in the queues of all its keys, on whatever shards. When a command has changed such
//! a key, its shard goes through the key's queue ([`Core::serve_waiters`]): whoever there is something for is claimed
//! and served by running its command, before any other command runs there.
//!
//! A waiter on several shards is claimed once, by a shard that serves it, or by its home when its time is up, CLIENT
//! UNBLOCK or a new role ends its wait, or it is gone; and it is claimed before anything is popped. A command that needs all of its
//! keys at once (BLMOVE) and has them on several shards is run by its home, as a transaction, with the claim held.
//!
//! Inside MULTI nobody waits: the command answers as if its time were up.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};

use futures_util::future::{Either, select};
use ringfort_core::args::{Args, OwnedArgs};
use ringfort_core::command::spec::KeysHandler;
use ringfort_core::command::{self, Flags, Spec};
use ringfort_core::commands;
use ringfort_core::cx::Wait as KeyWait;
use ringfort_core::error::Error;
use ringfort_core::sequencer::ShardSet;
use ringfort_core::slot::slot_of;
use ringfort_core::store::Key;
use ringfort_core::waiters::Waiter;

use crate::client::Client;
use crate::connection::{Connection, Unblock, Wait};
use crate::core::Core;
use crate::dispatch::Flow;
use crate::execute::Context;
use crate::multi_shard;
use crate::tasks::{Answer, on_cores};
use crate::transaction::on_shard;

/// A client that waits.
struct Blocked {
    waiter: Waiter,
    /// It is being served, or its wait has ended.
    claimed: AtomicBool,
    home: usize,
    /// The call at home that a serve finishes, with a [`Served`].
    served: AtomicU64,
    spec: &'static Spec,
    handler: KeysHandler,
    args: OwnedArgs,
    context: Context,
    /// Its keys are on several shards.
    spans_shards: bool,
}

impl Blocked {
    fn new(
        ticket: Ticket,
        spec: &'static Spec,
        handler: KeysHandler,
        args: OwnedArgs,
        context: Context,
        spans_shards: bool,
    ) -> Blocked {
        Blocked {
            waiter: ticket.waiter,
            claimed: AtomicBool::new(false),
            home: ticket.home,
            served: AtomicU64::new(ticket.served_call),
            spec,
            handler,
            args,
            context,
            spans_shards,
        }
    }

    /// Whether the claim now is the caller's.
    fn claim(&self) -> bool {
        self.claimed.compare_exchange(false, true, AcqRel, Acquire).is_ok()
    }

    /// The keys that may bring it something: of one that moves an element, not the destination.
    fn sources(&self) -> impl Iterator<Item = &[u8]> {
        let args = self.args.args();
        let count = if moves(self.spec) { 1 } else { usize::MAX };
        let keys = command::keys::keys_of(self.spec, &args).take(count).collect::<Vec<_>>();
        keys.into_iter().map(move |at| args.at(at))
    }
}

/// Whether the command, which is one of those that can, waits for its keys when there is nothing for it.
pub fn may_wait(spec: &Spec, args: &Args) -> bool {
    !matches!(spec.name, "xread" | "xreadgroup") || (1..args.len()).any(|at| args.is(at, "block"))
}

/// Whether the command needs its second key too.
fn moves(spec: &Spec) -> bool {
    matches!(spec.name, "blmove" | "brpoplpush")
}

/// How a shard has served a waiter.
enum Served {
    Reply(Vec<u8>),
    /// There is something, but it takes all shards of the command.
    RunAtHome,
}

/// Waiters of one core's shard, by number.
#[derive(Default)]
pub struct KeyWaits {
    blocked: HashMap<Waiter, Arc<Blocked>>,
    next: u64,
}

/// What a client needs of its home to wait: a number in the queues, and two calls.
#[derive(Clone, Copy)]
struct Ticket {
    waiter: Waiter,
    home: usize,
    /// Finished by a serve.
    served_call: u64,
    /// Finished by a timer, CLIENT UNBLOCK and the like.
    ended_call: u64,
}

/// The ends of a ticket's calls.
struct Answers {
    served: Answer,
    ended: Answer,
}

/// A waiting client, as its home sees it.
struct Parked {
    blocked: Arc<Blocked>,
    shards: ShardSet,
    wait: KeyWait,
    ended_call: u64,
    answers: Answers,
}

/// Runs a command that may wait for its keys, which lie on `shards`.
pub fn start(
    core: &mut Core,
    index: u32,
    connection: &mut Connection,
    spec: &'static Spec,
    handler: KeysHandler,
    args: &Args,
    shards: ShardSet,
) -> Flow {
    if connection.remote > 0 {
        return Flow::Wait(Wait::Remote);
    }
    if let Err(error) = core.check_memory(spec) {
        return core.reject(connection, spec, error);
    }
    if shards.single() == Some(core.id) {
        return start_here(core, index, connection, spec, handler, args, shards);
    }
    core.feed_monitors(connection, args, spec);
    let args = OwnedArgs::from(*args);
    core.start_task(index, connection, move |client| async move {
        match first_try(&client, spec, handler, args, shards).await {
            Ok(reply) => reply,
            Err(parked) => wait(client, parked).await,
        }
    })
}

/// All keys are of this core.
fn start_here(
    core: &mut Core,
    index: u32,
    connection: &mut Connection,
    spec: &'static Spec,
    handler: KeysHandler,
    args: &Args,
    shards: ShardSet,
) -> Flow {
    if core.gate.is_stopped() {
        core.gate_waiters.push(index);
        return Flow::Wait(Wait::Gate);
    }
    core.feed_monitors(connection, args, spec);
    let context = core.context_of(connection);
    let tried = core.attempt(spec, handler, args, context, None, connection.reply_buffer());
    core.serve_waiters();
    let Some(wait_for) = tried else { return Flow::Next };
    let (ticket, answers) = core.ticket();
    let blocked = core.wait_here(ticket, spec, handler, args, context);
    let ended_call = ticket.ended_call;
    connection.blocked_on = Some(ended_call);
    let parked = Parked { blocked, shards, wait: wait_for, ended_call, answers };
    core.start_task(index, connection, move |client| wait(client, parked))
}

/// The reply of a command whose keys are elsewhere, or its client parked.
async fn first_try(
    client: &Client,
    spec: &'static Spec,
    handler: KeysHandler,
    args: OwnedArgs,
    shards: ShardSet,
) -> Result<Vec<u8>, Parked> {
    let core = &client.core;
    if let Some(shard) = shards.single() {
        let (ticket, answers) = core.borrow_mut().ticket();
        let context = client.context();
        let (reply, waiting) = on_shard(core, shard, move |core| {
            let mut reply = Vec::new();
            let args = args.args();
            let context = Context { now: core.now.wall_ms, ..context };
            let wait = core.attempt(spec, handler, &args, context, None, &mut reply);
            let waiting =
                wait.map(|wait| (wait, core.wait_here(ticket, spec, handler, &args, context)));
            core.serve_waiters();
            (reply, waiting)
        })
        .await;
        let ended_call = ticket.ended_call;
        return match waiting {
            Some((wait, blocked)) => Err(Parked { blocked, shards, wait, ended_call, answers }),
            None => {
                let calls = &mut core.borrow_mut().calls;
                calls.forget(ticket.served_call);
                calls.forget(ended_call);
                Ok(reply)
            }
        };
    }
    let stopped = client.enter(shards).await;
    if let Err(error) = client.check_role(spec.flags.has(Flags::WRITE)) {
        client.leave(stopped);
        return Ok(client.error(error));
    }
    let gathered = multi_shard::run_gathered(client, spec, &args, shards).await;
    let outcome = match gathered.wait {
        None => Ok(gathered.reply),
        Some((wait, args)) => {
            let (ticket, answers) = core.borrow_mut().ticket();
            let blocked = Blocked::new(ticket, spec, handler, args, client.context(), true);
            let blocked = Arc::new(blocked);
            let waiting = Arc::clone(&blocked);
            on_cores(core, shards.iter(), move |core| core.add_waiter(&waiting)).await;
            Err(Parked { blocked, shards, wait, ended_call: ticket.ended_call, answers })
        }
    };
    client.leave(stopped);
    outcome
}

/// Waits until the client is served or its wait ends; its reply.
async fn wait(client: Client, parked: Parked) -> Vec<u8> {
    let Parked { blocked, shards, wait, ended_call, answers: Answers { mut served, ended } } =
        parked;
    // The client may have gone, or the role have changed, while it was parked elsewhere.
    let refused = client.check_role(blocked.spec.flags.has(Flags::WRITE)).is_err();
    let stays = client.with_connection(|_, connection| {
        connection.blocked_on = Some(ended_call);
        if refused {
            connection.unblocked = Some(Unblock::RoleChanged);
        }
    });
    if refused || stays.is_none() {
        client.core.borrow_mut().calls.finish(ended_call, Box::new(()));
    }
    // Dropping the timer ends it.
    let _timer = wait.deadline.map(|deadline| {
        let core = client.core.borrow();
        core.finish_at(ended_call, deadline)
    });
    let mut ended = pin!(ended);
    let mut is_over = false;
    let reply = loop {
        if !is_over {
            match select(&mut served, &mut ended).await {
                Either::Left((answer, _)) => match *downcast(answer) {
                    Served::Reply(reply) => break reply,
                    Served::RunAtHome => {}
                },
                Either::Right(_) => {
                    is_over = true;
                    if blocked.claim() {
                        break ended_reply(&client);
                    }
                    // Somebody is serving it right now.
                    continue;
                }
            }
        } else {
            match *downcast((&mut served).await) {
                Served::Reply(reply) => break reply,
                Served::RunAtHome => {}
            }
        }
        // Claimed for this.
        match run_at_home(&client, &blocked, shards, &mut served, is_over).await {
            Some(reply) => break reply,
            None if is_over => break ended_reply(&client),
            None => {}
        }
    };
    client.with_connection(|_, connection| {
        connection.blocked_on = None;
        connection.unblocked = None;
    });
    let mut core = client.core.borrow_mut();
    core.calls.forget(ended_call);
    core.calls.forget(blocked.served.load(Relaxed));
    for shard in shards.iter() {
        let blocked = Arc::clone(&blocked);
        core.post(shard, move |core| core.remove_waiter(&blocked));
    }
    reply
}

fn downcast(answer: Box<dyn std::any::Any + Send>) -> Box<Served> {
    answer.downcast().expect("only serves finish this call")
}

/// What a client is told for which there was nothing.
fn ended_reply(client: &Client) -> Vec<u8> {
    let unblocked = client.with_connection(|_, connection| {
        let unblocked = connection.unblocked.take();
        // As Redis: it is to look where the primary is now.
        connection.close_after_reply |= unblocked == Some(Unblock::RoleChanged);
        unblocked
    });
    let unblocked = unblocked.flatten();
    match unblocked {
        Some(Unblock::Error) => client.error(Error::UNBLOCKED),
        Some(Unblock::RoleChanged) => client.error(Error::ROLE_CHANGED),
        // Redis tells all of them the same, even those that a transaction would tell that there is no string.
        Some(Unblock::Timeout) | None => client.reply(|reply| reply.null_array()),
    }
}

/// Runs a claimed command with all its shards stopped. `None`: another was faster; unless the wait `is_over`, the claim
/// is given back.
async fn run_at_home(
    client: &Client,
    blocked: &Arc<Blocked>,
    shards: ShardSet,
    served: &mut Answer,
    is_over: bool,
) -> Option<Vec<u8>> {
    let mut client = client.clone();
    let stopped = client.enter(shards).await;
    client.now = client.core.borrow().now.wall_ms;
    let refused = client.check_role(true).is_err();
    let gathered = if refused {
        None
    } else {
        Some(multi_shard::run_gathered(&client, blocked.spec, &blocked.args, shards).await)
    };
    let reply = gathered.filter(|gathered| gathered.wait.is_none()).map(|gathered| gathered.reply);
    if reply.is_none() && !is_over {
        let (number, answer) = client.core.borrow_mut().calls.expect();
        *served = answer;
        blocked.served.store(number, Release);
        blocked.claimed.store(false, Release);
    }
    client.leave(stopped);
    reply
}

impl Core {
    fn ticket(&mut self) -> (Ticket, Answers) {
        let (served_call, served) = self.calls.expect();
        let (ended_call, ended) = self.calls.expect();
        self.key_waits.next += 1;
        let waiter = Waiter((self.id as u64) << 48 | self.key_waits.next);
        let ticket = Ticket { waiter, home: self.id, served_call, ended_call };
        (ticket, Answers { served, ended })
    }

    /// Has a client wait whose keys are all of this shard. What its command said of the present is put in.
    fn wait_here(
        &mut self,
        ticket: Ticket,
        spec: &'static Spec,
        handler: KeysHandler,
        args: &Args,
        context: Context,
    ) -> Arc<Blocked> {
        let mut keys = context.keys(&mut self.shard, None);
        let args = commands::settled_args(spec, &mut keys, args);
        let blocked = Arc::new(Blocked::new(ticket, spec, handler, args, context, false));
        self.add_waiter(&blocked);
        blocked
    }

    /// Puts a client into the queues of its keys that are on this shard.
    fn add_waiter(&mut self, blocked: &Arc<Blocked>) {
        for key in blocked.sources() {
            if self.shard_of(slot_of(key)) == self.id {
                self.shard.waiters.add(blocked.context.database, key, blocked.waiter);
            }
        }
        self.key_waits.blocked.insert(blocked.waiter, Arc::clone(blocked));
    }

    fn remove_waiter(&mut self, blocked: &Blocked) {
        if self.key_waits.blocked.remove(&blocked.waiter).is_some() {
            for key in blocked.sources() {
                self.shard.waiters.remove(blocked.context.database, key, blocked.waiter);
            }
        }
    }

    /// After a command, or a transaction: serves those for whom it brought something, in the order in which they came to
    /// each key. What serving them changes may be for others.
    #[inline]
    pub fn serve_waiters(&mut self) {
        if self.shard.waiters.has_touched() && !self.gate.is_stopped() {
            self.serve_touched();
        }
    }

    #[cold]
    fn serve_touched(&mut self) {
        while self.shard.waiters.has_touched() {
            for (database, name) in self.shard.waiters.take_touched() {
                for waiter in self.shard.waiters.of_key(database, &name) {
                    if let Some(blocked) = self.key_waits.blocked.get(&waiter) {
                        let blocked = Arc::clone(blocked);
                        self.serve(&blocked, &name);
                    }
                }
            }
        }
    }

    /// Serves a client if `name` has something for it, and nobody else has claimed it.
    fn serve(&mut self, blocked: &Arc<Blocked>, name: &[u8]) {
        let context = Context { now: self.now.wall_ms, ..blocked.context };
        let args = blocked.args.args();
        let key: Key = self.shard.hasher.key(name);
        let mut keys = context.keys(&mut self.shard, None);
        if !commands::is_ready(blocked.spec, &mut keys, &args, &key) {
            return;
        }
        if !blocked.claim() {
            return;
        }
        if blocked.spans_shards && moves(blocked.spec) {
            self.answer(blocked.home, blocked.served.load(Acquire), Box::new(Served::RunAtHome));
            return;
        }
        self.remove_waiter(blocked);
        let own = blocked
            .spans_shards
            .then(|| commands::args_of_shard(blocked.spec, &args, &key, context.now));
        let args = own.as_ref().map_or(args, OwnedArgs::args);
        let mut reply = Vec::new();
        self.start_timing();
        let wait = self.attempt(blocked.spec, blocked.handler, &args, context, None, &mut reply);
        debug_assert!(wait.is_none(), "{} was ready", blocked.spec.name);
        if let Some(wait) = wait {
            wait.timeout_reply
                .write(&mut ringfort_core::resp::Reply::new(&mut reply, context.protocol));
        }
        let answer = Box::new(Served::Reply(reply));
        self.answer(blocked.home, blocked.served.load(Acquire), answer);
    }

    /// This node becomes a replica: what its clients wait for is its primary's to give.
    pub fn unblock_key_waits(&mut self) {
        let mut ended = Vec::new();
        for connection in self.connections_mut() {
            if let Some(call) = connection.blocked_on {
                connection.unblocked = Some(Unblock::RoleChanged);
                ended.push(call);
            }
        }
        for call in ended {
            self.calls.finish(call, Box::new(()));
        }
    }
}
