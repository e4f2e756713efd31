//! Nodes that write, follow one another, lose links and are promoted at random: whoever goes on by PSYNC has the
//! bytes that its primary had there.

use super::*;

/// One node; its data is the stream that led to it.
struct Node {
    identity: Identity,
    stream: Vec<u8>,
    /// From where its log can be read.
    first: u64,
    role: Role,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Primary,
    /// Of that node, with a link that is up or down.
    Replica {
        of: usize,
        linked: bool,
    },
}

struct Simulation {
    random: u64,
    seed: u64,
    nodes: Vec<Node>,
    replids: u8,
    continued: usize,
    by_second: usize,
}

impl Simulation {
    fn new(seed: u64, nodes: usize) -> Simulation {
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut simulation =
            Simulation { random, seed, nodes: Vec::new(), replids: 0, continued: 0, by_second: 0 };
        for _ in 0..nodes {
            let identity = Identity::new(simulation.new_replid());
            simulation.nodes.push(Node {
                identity,
                stream: Vec::new(),
                first: 0,
                role: Role::Primary,
            });
        }
        simulation
    }

    fn next(&mut self, below: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % below as u64) as usize
    }

    fn new_replid(&mut self) -> Replid {
        self.replids += 1;
        Replid::from_random([self.replids; 20])
    }

    fn step(&mut self) {
        let node = self.next(self.nodes.len());
        match (self.next(12), self.nodes[node].role) {
            (0..4, Role::Primary) => {
                for _ in 0..=self.next(5) {
                    let byte = self.next(256) as u8;
                    self.nodes[node].stream.push(byte);
                }
            }
            (4, _) => {
                let Node { stream, first, .. } = &self.nodes[node];
                let (end, first) = (stream.len() as u64, *first);
                self.nodes[node].first = first + self.next((end - first) as usize + 1) as u64 / 2;
            }
            (5, _) => {
                let of = self.next(self.nodes.len());
                if of != node && !self.follows(of, node) {
                    self.nodes[node].role = Role::Replica { of, linked: false };
                    self.disconnect_replicas(node);
                }
            }
            (6, Role::Replica { of, .. }) => {
                self.nodes[node].role = Role::Replica { of, linked: false };
            }
            (7, Role::Replica { .. }) => self.promote(node),
            (_, Role::Replica { of, linked: true }) => self.transfer(node, of),
            (_, Role::Replica { of, linked: false }) => self.link(node, of),
            _ => {}
        }
    }

    /// Whether `node` has its data, directly or not, from `from`.
    fn follows(&self, mut node: usize, from: usize) -> bool {
        while let Role::Replica { of, .. } = self.nodes[node].role {
            if of == from {
                return true;
            }
            node = of;
        }
        false
    }

    fn disconnect_replicas(&mut self, node: usize) {
        for other in &mut self.nodes {
            if matches!(other.role, Role::Replica { of, .. } if of == node) {
                other.role = Role::Replica { of: node, linked: false };
            }
        }
    }

    fn promote(&mut self, node: usize) {
        let new = self.new_replid();
        let end = self.nodes[node].stream.len() as u64;
        self.nodes[node].identity.shift(new, end);
        self.nodes[node].role = Role::Primary;
        self.disconnect_replicas(node);
    }

    fn transfer(&mut self, node: usize, of: usize) {
        let from = self.nodes[node].stream.len();
        let missing = self.nodes[of].stream.len() - from;
        let count = self.next(missing + 1);
        let bytes = self.nodes[of].stream[from..from + count].to_vec();
        self.nodes[node].stream.extend(bytes);
    }

    fn link(&mut self, node: usize, of: usize) {
        let (replica, primary) = (&self.nodes[node], &self.nodes[of]);
        let offset = replica.stream.len() as u64;
        let asked = PsyncRequest {
            replid: replica.identity.replid().to_string(),
            next: offset as i64 + 1,
            failover: false,
        };
        let log = primary.first..=primary.stream.len() as u64;
        let (replid, stream) = (primary.identity.replid(), primary.stream.clone());
        match primary.identity.decide(&asked, Some(log)) {
            Decision::Continue { from } => {
                assert_eq!(from, offset, "seed {}", self.seed);
                assert!(
                    stream[..from as usize] == replica.stream[..],
                    "seed {}: a replica goes on from data that its primary never had",
                    self.seed
                );
                self.continued += 1;
                let changed = self.nodes[node].identity.adopt(replid, offset);
                self.by_second += usize::from(changed);
                if changed {
                    self.disconnect_replicas(node);
                }
            }
            Decision::Full(_) => {
                let replica = &mut self.nodes[node];
                replica.identity.replace(replid);
                replica.first = stream.len() as u64;
                replica.stream = stream;
                self.disconnect_replicas(node);
            }
        }
        self.nodes[node].role = Role::Replica { of, linked: true };
    }

    fn check(&self) {
        for node in &self.nodes {
            if let Role::Replica { of, linked: true } = node.role {
                let primary = &self.nodes[of];
                assert!(primary.stream.starts_with(&node.stream), "seed {}", self.seed);
                assert_eq!(node.identity.replid(), primary.identity.replid(), "seed {}", self.seed);
            }
        }
    }
}

#[test]
fn replica_goes_on_only_from_what_its_primary_had() {
    let (mut continued, mut by_second) = (0, 0);
    for seed in 0..300 {
        let mut simulation = Simulation::new(seed, 2 + seed as usize % 4);
        for _ in 0..600 {
            simulation.step();
            simulation.check();
            if simulation.replids > 250 {
                break;
            }
        }
        continued += simulation.continued;
        by_second += simulation.by_second;
    }
    // Else the test has shown nothing.
    assert!(continued > 1000 && by_second > 100, "{continued} and {by_second}");
}
