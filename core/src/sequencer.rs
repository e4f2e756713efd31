//! Transactions over several shards: one order for all of them, and shards that stop at their turn.
//!
//! Three small machines without IO. The [`Sequencer`] (one in a node) takes requests and hands every shard
//! concerned the transaction, in one order. A shard's [`Gate`] lets one transaction in at a time, in the order
//! of arrival: while one is in, the shard runs no other command, but goes on serving sockets and mailboxes. A
//! [`Turn`], on the core that asked, counts the shards that have stopped; once all have, the transaction runs,
//! and then releases them.
//!
//! What must hold: channels between cores keep their order. Then all gates see transactions in one order, so no
//! two can wait for each other, and what a transaction does on several shards is seen whole or not at all.

use std::collections::VecDeque;

/// The most shards a node can have.
pub const SHARDS_MAX: usize = 256;

/// A set of shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ShardSet([u64; SHARDS_MAX / 64]);

impl ShardSet {
    /// The first `count` shards.
    pub fn all(count: usize) -> Self {
        (0..count).collect()
    }

    pub fn insert(&mut self, shard: usize) {
        self.0[shard / 64] |= 1 << (shard % 64);
    }

    pub fn contains(&self, shard: usize) -> bool {
        self.0[shard / 64] & 1 << (shard % 64) != 0
    }

    /// `false`: it was not in the set.
    pub fn remove(&mut self, shard: usize) -> bool {
        let had = self.contains(shard);
        self.0[shard / 64] &= !(1 << (shard % 64));
        had
    }

    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn iter(&self) -> impl Iterator<Item = usize> + use<> {
        let set = *self;
        (0..SHARDS_MAX).filter(move |shard| set.contains(*shard))
    }

    /// The only shard of a set of one.
    pub fn single(&self) -> Option<usize> {
        (self.len() == 1).then(|| self.iter().next().expect("a set of one"))
    }

    pub fn union(mut self, other: ShardSet) -> ShardSet {
        for (word, more) in self.0.iter_mut().zip(other.0) {
            *word |= more;
        }
        self
    }
}

impl FromIterator<usize> for ShardSet {
    fn from_iter<T: IntoIterator<Item = usize>>(shards: T) -> Self {
        let mut set = ShardSet::default();
        shards.into_iter().for_each(|shard| set.insert(shard));
        set
    }
}

/// A transaction over several shards: the core that coordinates it and a number of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransactionId {
    pub core: u16,
    pub number: u64,
}

/// Gives transactions their order: the order in which their requests arrive here.
#[derive(Debug, Default)]
pub struct Sequencer;

impl Sequencer {
    /// The shards that must now be told to stop for `transaction`, each over its ordered channel.
    pub fn request(
        &mut self,
        transaction: TransactionId,
        shards: ShardSet,
    ) -> impl Iterator<Item = (usize, TransactionId)> + use<> {
        shards.iter().map(move |shard| (shard, transaction))
    }
}

/// Lets one transaction at a time into a shard.
#[derive(Debug, Default)]
pub struct Gate {
    inside: Option<TransactionId>,
    waiting: VecDeque<TransactionId>,
}

impl Gate {
    /// The sequencer's word arrived. Returns the transaction to answer "stopped" to, if its turn is now.
    pub fn arrive(&mut self, transaction: TransactionId) -> Option<TransactionId> {
        self.waiting.push_back(transaction);
        self.admit()
    }

    /// `transaction` is done here. The shard now runs what had to wait for it, then calls [`Gate::admit`]: were
    /// the next one let in at once, a steady stream of transactions would keep everything else out for ever.
    /// Panics if it was not inside: a coordinator releases only what had stopped for it.
    pub fn release(&mut self, transaction: TransactionId) {
        assert_eq!(self.inside, Some(transaction), "released by a transaction that is not inside");
        self.inside = None;
    }

    /// Whether the shard runs no commands but those of the transaction inside.
    pub fn is_stopped(&self) -> bool {
        self.inside.is_some()
    }

    pub fn inside(&self) -> Option<TransactionId> {
        self.inside
    }

    /// Lets the next transaction in, if none is. Returns it, to answer "stopped" to.
    pub fn admit(&mut self) -> Option<TransactionId> {
        if self.inside.is_some() {
            return None;
        }
        self.inside = self.waiting.pop_front();
        self.inside
    }
}

/// The coordinator's view: which shards have not stopped yet.
#[derive(Debug)]
pub struct Turn {
    missing: ShardSet,
}

impl Turn {
    pub fn new(shards: ShardSet) -> Self {
        Turn { missing: shards }
    }

    /// `shard` has stopped. `true`: all have. Panics if it is not one of the transaction's shards or has
    /// stopped before.
    pub fn stopped(&mut self, shard: usize) -> bool {
        assert!(self.missing.remove(shard), "shard {shard} stopped out of turn");
        self.missing.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// A seeded network of ordered channels between cores, delivering one message at a time from a channel
    /// picked at random.
    struct Simulation {
        random: u64,
        channels: BTreeMap<(usize, usize), VecDeque<Message>>,
        gates: Vec<Gate>,
        sequencer: Sequencer,
        turns: BTreeMap<TransactionId, (ShardSet, Turn)>,
        /// Per shard the transactions in the order they were inside.
        history: Vec<Vec<TransactionId>>,
        running: Vec<TransactionId>,
        done: usize,
    }

    enum Message {
        Request(TransactionId, ShardSet),
        Stop(TransactionId),
        Stopped(TransactionId, usize),
        Release(TransactionId),
    }

    impl Simulation {
        fn next(&mut self, below: usize) -> usize {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            (self.random % below as u64) as usize
        }

        fn send(&mut self, from: usize, to: usize, message: Message) {
            self.channels.entry((from, to)).or_default().push_back(message);
        }

        fn admit(&mut self, shard: usize, admitted: Option<TransactionId>) {
            if let Some(transaction) = admitted {
                self.history[shard].push(transaction);
                self.send(shard, transaction.core.into(), Message::Stopped(transaction, shard));
            }
        }

        fn deliver(&mut self, to: usize, message: Message) {
            match message {
                Message::Request(transaction, shards) => {
                    let stops: Vec<_> = self.sequencer.request(transaction, shards).collect();
                    for (shard, transaction) in stops {
                        self.send(0, shard, Message::Stop(transaction));
                    }
                }
                Message::Stop(transaction) => {
                    let admitted = self.gates[to].arrive(transaction);
                    self.admit(to, admitted);
                }
                Message::Stopped(transaction, shard) => {
                    let (shards, turn) =
                        self.turns.get_mut(&transaction).expect("a known transaction");
                    let shards = *shards;
                    if turn.stopped(shard) {
                        for shard in shards.iter() {
                            assert_eq!(self.gates[shard].inside(), Some(transaction));
                        }
                        self.running.push(transaction);
                    }
                }
                Message::Release(transaction) => {
                    self.gates[to].release(transaction);
                    let admitted = self.gates[to].admit();
                    self.admit(to, admitted);
                }
            }
        }
    }

    fn simulate(seed: u64, shards: usize, transactions: usize) {
        let mut sim = Simulation {
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            channels: BTreeMap::new(),
            gates: (0..shards).map(|_| Gate::default()).collect(),
            sequencer: Sequencer,
            turns: BTreeMap::new(),
            history: vec![Vec::new(); shards],
            running: Vec::new(),
            done: 0,
        };
        for number in 0..transactions {
            let core = sim.next(shards);
            let mut set = ShardSet::default();
            for _ in 0..=sim.next(shards) {
                let shard = sim.next(shards);
                set.insert(shard);
            }
            let transaction = TransactionId { core: core as u16, number: number as u64 };
            sim.turns.insert(transaction, (set, Turn::new(set)));
            sim.send(core, 0, Message::Request(transaction, set));
        }
        let mut steps = 0;
        while sim.done < transactions {
            steps += 1;
            assert!(steps < 1_000_000, "seed {seed}: no end");
            let busy: Vec<_> = sim
                .channels
                .iter()
                .filter(|(_, queue)| !queue.is_empty())
                .map(|(key, _)| *key)
                .collect();
            // A running transaction ends now and then, and must when nothing else can happen.
            if !sim.running.is_empty() && (busy.is_empty() || sim.next(4) == 0) {
                let index = sim.next(sim.running.len());
                let transaction = sim.running.swap_remove(index);
                sim.done += 1;
                for shard in sim.turns[&transaction].0.iter() {
                    sim.send(transaction.core.into(), shard, Message::Release(transaction));
                }
                continue;
            }
            assert!(!busy.is_empty(), "seed {seed}: deadlock after {} transactions", sim.done);
            let (from, to) = busy[sim.next(busy.len())];
            let message =
                sim.channels.get_mut(&(from, to)).and_then(VecDeque::pop_front).expect("busy");
            sim.deliver(to, message);
        }
        // Any two transactions meet in the same order on all shards they share.
        for a in 0..shards {
            for b in 0..shards {
                let shared_a: Vec<_> =
                    sim.history[a].iter().filter(|t| sim.turns[t].0.contains(b)).collect();
                let shared_b: Vec<_> =
                    sim.history[b].iter().filter(|t| sim.turns[t].0.contains(a)).collect();
                assert_eq!(shared_a, shared_b, "seed {seed}: shards {a} and {b} disagree");
            }
        }
    }

    #[test]
    fn transactions_meet_in_one_order_and_all_end() {
        for seed in 1..300 {
            simulate(seed, 2 + (seed as usize % 5), 40);
        }
    }

    #[test]
    fn a_gate_lets_one_in_at_a_time_in_order() {
        let [a, b] = [1, 2].map(|number| TransactionId { core: 0, number });
        let mut gate = Gate::default();
        assert_eq!(gate.arrive(a), Some(a));
        assert_eq!(gate.arrive(b), None);
        assert!(gate.is_stopped());
        gate.release(a);
        assert!(!gate.is_stopped(), "between two transactions others have their turn");
        assert_eq!(gate.admit(), Some(b));
        assert_eq!(gate.admit(), None);
        gate.release(b);
        assert_eq!(gate.admit(), None);
        assert!(!gate.is_stopped());
    }

    #[test]
    fn a_shard_set_is_a_set() {
        let set: ShardSet = [3, 200, 3].into_iter().collect();
        assert_eq!(set.len(), 2);
        assert_eq!(set.iter().collect::<Vec<_>>(), [3, 200]);
        assert_eq!(set.single(), None);
        assert_eq!(ShardSet::all(1).single(), Some(0));
        assert!(ShardSet::all(256).contains(255));
    }
}
