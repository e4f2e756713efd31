//! FAILOVER: a primary hands its role to one of its replicas without losing a write.
//!
//! The primary pauses writes, waits until a replica (the one named, or any) has acknowledged the whole stream,
//! becomes that replica's replica, and asks it by `PSYNC … FAILOVER` to take over. Until that is granted it can go
//! back, by FAILOVER ABORT or because the replica refused.
//!
//! [`Failover`] is the primary's machine; [`may_take_over`] is all that the replica has to decide. Commands, ACKs,
//! the clock and the outcome of the handshake go in; [`Failover::poll_action`] gives what to do.
//!
//! Owned by the node, one thread at a time. Absent: pausing, linking, promoting; they are the shell's, in the order
//! of the actions.
//!
//! Source: replies of Redis 7.0.15; Valkey and Redis `src/replication.c` for the order of checks and for what a
//! timeout does.

use std::collections::VecDeque;

use ringfort_core::args::Args;
use ringfort_core::error::Error;
use ringfort_core::number;

use crate::identity::{PsyncRequest, Replid};

/// Reply to REPLICAOF while a failover goes on: it would take the link from under it.
pub const REPLICAOF_REFUSED: Error = Error::new("ERR REPLICAOF not allowed while failing over.");
/// Reply to PSYNC and SYNC of others while a failover goes on. They try again later.
pub const PSYNC_REFUSED: Error = Error::new("NOMASTERLINK Can't SYNC while failing over");

const NONE_IN_PROGRESS: Error = Error::new("ERR No failover in progress.");
const ALREADY_IN_PROGRESS: Error = Error::new("ERR FAILOVER already in progress.");
const NOT_A_PRIMARY: Error = Error::new("ERR FAILOVER is not valid when server is a replica.");
const NO_REPLICAS: Error = Error::new("ERR FAILOVER requires connected replicas.");
const FORCE_NEEDS_MORE: Error =
    Error::new("ERR FAILOVER with force option requires both a timeout and target HOST and IP.");
const NOT_A_REPLICA: Error = Error::new("ERR FAILOVER target HOST and PORT is not a replica.");
const NOT_ONLINE: Error = Error::new("ERR FAILOVER target replica is not online.");
const TIMEOUT_TOO_SMALL: Error = Error::new("ERR FAILOVER timeout must be greater than 0");

/// A FAILOVER as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Abort,
    Start(Request),
}

/// What a FAILOVER asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub target: Option<Target>,
    /// After the timeout fail over to the target even if it has not caught up.
    pub force: bool,
    pub timeout_ms: Option<u64>,
}

/// A replica as INFO and ROLE name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub host: String,
    /// As written; a number that is no port matches no replica.
    pub port: i64,
}

impl Command {
    /// `args` begins with FAILOVER. Each option may stand once, in any order.
    pub fn parse(args: &Args<'_>) -> Result<Command, Error> {
        if args.len() == 2 && args.is(1, "abort") {
            return Ok(Command::Abort);
        }
        let mut request = Request::default();
        let mut at = 1;
        while at < args.len() {
            let follow = args.len() - at - 1;
            if args.is(at, "timeout") && follow >= 1 && request.timeout_ms.is_none() {
                let timeout_ms = u64::try_from(number::integer(args.at(at + 1))?).unwrap_or(0);
                if timeout_ms == 0 {
                    return Err(TIMEOUT_TOO_SMALL);
                }
                request.timeout_ms = Some(timeout_ms);
                at += 2;
            } else if args.is(at, "to") && follow >= 2 && request.target.is_none() {
                let host = String::from_utf8_lossy(args.at(at + 1)).into_owned();
                let port = number::integer(args.at(at + 2))?;
                request.target = Some(Target { host, port });
                at += 3;
            } else if args.is(at, "force") && !request.force {
                request.force = true;
                at += 1;
            } else {
                return Err(Error::SYNTAX);
            }
        }
        Ok(Command::Start(request))
    }
}

/// A connected replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Its announced address, or the one that its connection comes from.
    pub host: String,
    pub port: u16,
    /// It has had its full sync and reads the stream.
    pub online: bool,
    /// Bytes of the stream that it has acknowledged.
    pub acked: u64,
}

impl Replica {
    fn is(&self, target: &Target) -> bool {
        i64::from(self.port) == target.port && self.host.eq_ignore_ascii_case(&target.host)
    }
}

/// How far a failover is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    NoFailover,
    /// Writes are paused, or about to be; no replica is known to have all of the stream.
    WaitingForSync,
    /// We are the target's replica and wait for it to take over.
    InProgress,
}

impl Stage {
    /// As INFO's `master_failover_state`.
    pub fn name(self) -> &'static str {
        match self {
            Stage::NoFailover => "no-failover",
            Stage::WaitingForSync => "waiting-for-sync",
            Stage::InProgress => "failover-in-progress",
        }
    }
}

/// What to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// No core adds to the stream any more, by writes, expiry or eviction, and nobody else's pause ends this one.
    /// Then [`Failover::handle_writes_paused`], and only then the reply to FAILOVER.
    PauseWrites,
    ResumeWrites,
    /// REPLICAOF to there, the data and the history kept, and say FAILOVER in the handshake.
    BecomeReplica {
        host: String,
        port: u16,
    },
    /// Back again: the target has not taken over. As REPLICAOF NO ONE.
    BecomePrimary,
    /// For the log.
    Log(String),
}

/// The failover of a primary.
#[derive(Debug)]
pub struct Failover {
    stage: Stage,
    request: Request,
    deadline_ms: Option<u64>,
    /// The stream has ended: an ACK of its end is one of all of it.
    paused: bool,
    actions: VecDeque<Action>,
}

impl Failover {
    pub fn new() -> Failover {
        Failover {
            stage: Stage::NoFailover,
            request: Request::default(),
            deadline_ms: None,
            paused: false,
            actions: VecDeque::new(),
        }
    }

    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// When to call [`Failover::tick`] at the latest.
    pub fn next_timeout_ms(&self) -> Option<u64> {
        self.deadline_ms.filter(|_| self.stage == Stage::WaitingForSync)
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// FAILOVER was called. `Ok` is the reply +OK, due once the actions of now are done.
    pub fn handle_command(
        &mut self,
        command: Command,
        is_replica: bool,
        replicas: &[Replica],
        now_ms: u64,
    ) -> Result<(), Error> {
        match command {
            Command::Abort if self.stage == Stage::NoFailover => return Err(NONE_IN_PROGRESS),
            Command::Abort => self.abort("Failover manually aborted"),
            Command::Start(request) => {
                self.check(&request, is_replica, replicas)?;
                self.start(request, now_ms);
            }
        }
        Ok(())
    }

    /// All cores have taken the pause: `end`, now and later, is the end of the stream.
    pub fn handle_writes_paused(&mut self, replicas: &[Replica], end: u64) {
        if self.stage == Stage::WaitingForSync {
            self.paused = true;
            self.handle_acks(replicas, end);
        }
    }

    /// Replicas may have acknowledged more. `end` is the log's.
    pub fn handle_acks(&mut self, replicas: &[Replica], end: u64) {
        if self.stage != Stage::WaitingForSync || !self.paused {
            return;
        }
        let wanted = |replica: &&Replica| {
            self.request.target.as_ref().is_none_or(|target| replica.is(target))
        };
        let synced = |replica: &&Replica| replica.online && replica.acked == end;
        if let Some(replica) = replicas.iter().filter(wanted).find(synced) {
            let (host, port) = (replica.host.clone(), replica.port);
            self.log(format!("Failover target {host}:{port} is synced, failing over."));
            self.become_replica(host, port);
        }
    }

    /// Time passes.
    pub fn tick(&mut self, now_ms: u64) {
        if self.next_timeout_ms().is_none_or(|deadline_ms| now_ms < deadline_ms) {
            return;
        }
        match (self.request.force, self.request.target.clone()) {
            (true, Some(Target { host, port })) => {
                self.log(format!("FAILOVER to {host}:{port} time out exceeded, failing over."));
                let port = u16::try_from(port).expect("the port of a replica");
                self.become_replica(host, port);
            }
            _ => self.abort("Replica never caught up before timeout"),
        }
    }

    /// The target answered our PSYNC FAILOVER by +CONTINUE or +FULLRESYNC: it is the primary.
    pub fn handle_granted(&mut self) {
        if self.stage == Stage::InProgress {
            self.end();
        }
    }

    /// It answered by an error, or the PSYNC could not be sent. (A link that fails before that is tried again, as
    /// any replica does, until FAILOVER ABORT.)
    pub fn handle_refused(&mut self) {
        if self.stage == Stage::InProgress {
            self.abort("Failover target rejected psync request");
        }
    }

    fn check(
        &self,
        request: &Request,
        is_replica: bool,
        replicas: &[Replica],
    ) -> Result<(), Error> {
        if self.stage != Stage::NoFailover {
            return Err(ALREADY_IN_PROGRESS);
        }
        if is_replica {
            return Err(NOT_A_PRIMARY);
        }
        if replicas.is_empty() {
            return Err(NO_REPLICAS);
        }
        if request.force && (request.timeout_ms.is_none() || request.target.is_none()) {
            return Err(FORCE_NEEDS_MORE);
        }
        if let Some(target) = &request.target {
            let replica = replicas.iter().find(|replica| replica.is(target));
            if !replica.ok_or(NOT_A_REPLICA)?.online {
                return Err(NOT_ONLINE);
            }
        }
        Ok(())
    }

    fn start(&mut self, request: Request, now_ms: u64) {
        self.log(format!("FAILOVER requested to {}.", name(&request)));
        self.deadline_ms = request.timeout_ms.map(|timeout_ms| now_ms.saturating_add(timeout_ms));
        self.request = request;
        self.paused = false;
        self.stage = Stage::WaitingForSync;
        self.actions.push_back(Action::PauseWrites);
    }

    fn become_replica(&mut self, host: String, port: u16) {
        self.stage = Stage::InProgress;
        // An abort names whom we had chosen.
        self.request.target = Some(Target { host: host.clone(), port: port.into() });
        self.actions.push_back(Action::BecomeReplica { host, port });
    }

    fn abort(&mut self, why: &str) {
        self.log(format!("FAILOVER to {} aborted: {why}", name(&self.request)));
        if self.stage == Stage::InProgress {
            self.actions.push_back(Action::BecomePrimary);
        }
        self.end();
    }

    fn end(&mut self) {
        self.stage = Stage::NoFailover;
        self.request = Request::default();
        self.deadline_ms = None;
        self.paused = false;
        self.actions.push_back(Action::ResumeWrites);
    }

    fn log(&mut self, line: String) {
        self.actions.push_back(Action::Log(line));
    }
}

impl Default for Failover {
    fn default() -> Failover {
        Failover::new()
    }
}

fn name(request: &Request) -> String {
    match &request.target {
        Some(Target { host, port }) => format!("{}:{port}", host.escape_debug()),
        None => "any replica".to_string(),
    }
}

/// Whether the sender of a PSYNC FAILOVER may be promoted over: we are its replica, of the history it names. If so
/// become primary, then answer the PSYNC as any other.
pub fn may_take_over(
    request: &PsyncRequest,
    is_replica: bool,
    replid: &Replid,
) -> Result<(), Error> {
    if !is_replica {
        return Err(Error::new("ERR PSYNC FAILOVER can't be sent to a master."));
    }
    if !request.replid.eq_ignore_ascii_case(replid.as_str()) {
        return Err(Error::new("ERR PSYNC FAILOVER replid must match my replid."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringfort_core::args::OwnedArgs;

    fn parse(command: &str) -> Result<Command, Error> {
        let args = OwnedArgs::new(command.split(' ').map(str::as_bytes));
        Command::parse(&args.args())
    }

    fn replica(port: u16, acked: u64) -> Replica {
        Replica { host: "10.0.0.1".into(), port, online: true, acked }
    }

    /// A primary at time 1000 whose log ends at 100.
    struct Primary {
        failover: Failover,
        replicas: Vec<Replica>,
        is_replica: bool,
    }

    impl Primary {
        fn new(replicas: &[Replica]) -> Primary {
            let replicas = replicas.to_vec();
            Primary { failover: Failover::new(), replicas, is_replica: false }
        }

        /// The reply, and what is to be done.
        fn command(&mut self, command: &str) -> String {
            let reply = parse(command).and_then(|command| {
                self.failover.handle_command(command, self.is_replica, &self.replicas, 1000)
            });
            let reply = match reply {
                Ok(()) => "+OK".to_string(),
                Err(error) => format!("-{}", error.0),
            };
            [reply].into_iter().chain(self.actions()).collect::<Vec<_>>().join("\n")
        }

        fn paused(&mut self) -> String {
            self.failover.handle_writes_paused(&self.replicas, 100);
            self.actions().join("\n")
        }

        fn ack(&mut self, number: usize, acked: u64) -> String {
            self.replicas[number].acked = acked;
            self.failover.handle_acks(&self.replicas, 100);
            self.actions().join("\n")
        }

        fn tick(&mut self, now_ms: u64) -> String {
            self.failover.tick(now_ms);
            self.actions().join("\n")
        }

        fn actions(&mut self) -> Vec<String> {
            std::iter::from_fn(|| self.failover.poll_action())
                .map(|action| match action {
                    Action::Log(line) => line,
                    action => format!("{action:?}"),
                })
                .collect()
        }

        fn stage(&self) -> &'static str {
            self.failover.stage().name()
        }
    }

    const ANY: &str = "+OK\nFAILOVER requested to any replica.\nPauseWrites";
    const SYNCED: &str = "Failover target 10.0.0.1:1 is synced, failing over.\n\
                          BecomeReplica { host: \"10.0.0.1\", port: 1 }";

    fn check_error(command: &str, error: &str) {
        let mut offline = replica(2, 0);
        offline.online = false;
        let mut primary = Primary::new(&[replica(1, 0), offline]);
        assert_eq!(primary.command(command), format!("-ERR {error}"), "{command}");
        assert_eq!(primary.stage(), "no-failover");
    }

    #[test]
    fn errors_are_those_of_redis() {
        for command in [
            "failover to",
            "failover to a",
            "failover timeout",
            "failover abort x",
            "failover timeout 1 timeout 2",
            "failover foo",
            "failover to a 1 to b 2",
            "failover force force",
            "failover timeout 5 abort",
        ] {
            check_error(command, "syntax error");
        }
        let integer = "value is not an integer or out of range";
        check_error("failover to a b", integer);
        check_error("failover timeout x", integer);
        check_error("failover timeout 99999999999999999999", integer);
        check_error("failover timeout 0", "FAILOVER timeout must be greater than 0");
        check_error("failover timeout -1", "FAILOVER timeout must be greater than 0");
        check_error("failover abort", "No failover in progress.");
        let force = "FAILOVER with force option requires both a timeout and target HOST and IP.";
        check_error("failover force", force);
        check_error("failover to 10.0.0.1 1 force", force);
        check_error("failover timeout 5 force", force);
        let target = "FAILOVER target HOST and PORT is not a replica.";
        check_error("failover to 10.0.0.1 99999", target);
        check_error("failover to 10.0.0.2 1", target);
        check_error("failover to 10.0.0.1 2", "FAILOVER target replica is not online.");
    }

    #[test]
    fn errors_come_in_the_order_of_redis() {
        let mut primary = Primary::new(&[]);
        let none = "-ERR FAILOVER requires connected replicas.";
        assert_eq!(primary.command("failover force"), none);
        assert_eq!(primary.command("failover to a 99999"), none);
        primary.is_replica = true;
        let replica = "-ERR FAILOVER is not valid when server is a replica.";
        assert_eq!(primary.command("failover"), replica);
    }

    #[test]
    fn failover_waits_for_a_replica_that_has_everything() {
        let mut primary = Primary::new(&[replica(1, 98), replica(2, 0)]);
        assert_eq!(primary.command("FAILOVER"), ANY);
        assert_eq!(primary.stage(), "waiting-for-sync");
        assert_eq!(primary.command("failover"), "-ERR FAILOVER already in progress.");
        assert_eq!(primary.paused(), "");
        assert_eq!(primary.ack(0, 99), "");
        assert_eq!(primary.ack(0, 100), SYNCED);
        assert_eq!(primary.stage(), "failover-in-progress");
        assert_eq!(primary.ack(1, 100), "");
        primary.failover.handle_granted();
        assert_eq!(primary.actions(), ["ResumeWrites"]);
        assert_eq!(primary.stage(), "no-failover");
    }

    #[test]
    fn nobody_has_everything_before_writes_are_paused() {
        let mut primary = Primary::new(&[replica(1, 100)]);
        assert_eq!(primary.command("failover"), ANY);
        assert_eq!(primary.ack(0, 100), "");
        assert_eq!(primary.paused(), SYNCED);
    }

    #[test]
    fn only_the_replica_named_is_waited_for() {
        let mut primary = Primary::new(&[replica(2, 100), replica(1, 0)]);
        let reply = primary.command("failover timeout 50 to 10.0.0.1 1");
        assert_eq!(reply, "+OK\nFAILOVER requested to 10.0.0.1:1.\nPauseWrites");
        assert_eq!(primary.paused(), "");
        assert_eq!(primary.failover.next_timeout_ms(), Some(1050));
        assert_eq!(primary.ack(1, 100), SYNCED);
        assert_eq!(primary.failover.next_timeout_ms(), None);
        assert_eq!(primary.tick(9999), "");
    }

    #[test]
    fn replica_that_is_not_online_is_not_chosen() {
        let mut primary = Primary::new(&[Replica { online: false, ..replica(1, 100) }]);
        assert_eq!(primary.command("failover"), ANY);
        assert_eq!(primary.paused(), "");
    }

    #[test]
    fn timeout_gives_up() {
        let mut primary = Primary::new(&[replica(1, 0)]);
        primary.command("failover timeout 50");
        primary.paused();
        assert_eq!(primary.tick(1049), "");
        let aborted = "FAILOVER to any replica aborted: Replica never caught up before timeout\n\
                       ResumeWrites";
        assert_eq!(primary.tick(1050), aborted);
        assert_eq!(primary.stage(), "no-failover");
        assert_eq!(primary.failover.next_timeout_ms(), None);
    }

    #[test]
    fn timeout_with_force_fails_over_anyway() {
        let mut primary = Primary::new(&[replica(1, 0)]);
        primary.command("failover to 10.0.0.1 1 timeout 50 force");
        primary.paused();
        let forced = "FAILOVER to 10.0.0.1:1 time out exceeded, failing over.\n\
                      BecomeReplica { host: \"10.0.0.1\", port: 1 }";
        assert_eq!(primary.tick(1050), forced);
        assert_eq!(primary.stage(), "failover-in-progress");
    }

    #[test]
    fn abort_goes_back_to_where_it_was() {
        let mut primary = Primary::new(&[replica(1, 0)]);
        primary.command("failover");
        let aborted =
            "+OK\nFAILOVER to any replica aborted: Failover manually aborted\nResumeWrites";
        assert_eq!(primary.command("failover abort"), aborted);
        assert_eq!(primary.command("failover abort"), "-ERR No failover in progress.");
        // The pause of the failover that was aborted is not one of the next.
        primary.replicas[0].acked = 100;
        primary.command("failover");
        assert_eq!(primary.ack(0, 100), "");
        assert_eq!(primary.paused(), SYNCED);
        let aborted = "+OK\nFAILOVER to 10.0.0.1:1 aborted: Failover manually aborted\n\
                       BecomePrimary\nResumeWrites";
        assert_eq!(primary.command("failover abort"), aborted);
    }

    #[test]
    fn target_that_refuses_makes_us_primary_again() {
        let mut primary = Primary::new(&[replica(1, 100)]);
        primary.command("failover");
        primary.paused();
        primary.failover.handle_refused();
        let aborted = "FAILOVER to 10.0.0.1:1 aborted: Failover target rejected psync request";
        assert_eq!(primary.actions(), [aborted, "BecomePrimary", "ResumeWrites"]);
        primary.failover.handle_refused();
        primary.failover.handle_granted();
        assert!(primary.actions().is_empty());
    }

    #[test]
    fn replica_takes_over_only_from_its_own_primary() {
        let replid = Replid::from_random([0xab; 20]);
        let request = |replid: String| PsyncRequest { replid, next: 1, failover: true };
        let ours = request(replid.to_string());
        assert_eq!(may_take_over(&ours, true, &replid), Ok(()));
        let text = |result: Result<(), Error>| result.unwrap_err().0.into_owned();
        assert_eq!(
            text(may_take_over(&ours, false, &replid)),
            "ERR PSYNC FAILOVER can't be sent to a master."
        );
        assert_eq!(
            text(may_take_over(&request("?".into()), true, &replid)),
            "ERR PSYNC FAILOVER replid must match my replid."
        );
    }
}
