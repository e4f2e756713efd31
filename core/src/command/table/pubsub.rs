//! The commands on channels.

use crate::command::build::*;
use crate::command::spec::{KeySpec, NodeCommand, SessionCommand, Spec};

pub const COMMANDS: &[Spec] = &[
    Spec::new("subscribe", -2)
        .node(NodeCommand::Subscribe)
        .flags("pubsub noscript loading stale")
        .arguments(&[string("channel").multiple()])
        .docs("2.0.0", "O(N), N the number of channels", "Listens to channels."),
    Spec::new("unsubscribe", -1)
        .node(NodeCommand::Unsubscribe)
        .flags("pubsub noscript loading stale")
        .arguments(&[string("channel").optional().multiple()])
        .docs("2.0.0", "O(N), N the number of channels", "Stops listening to channels."),
    Spec::new("psubscribe", -2)
        .node(NodeCommand::Psubscribe)
        .flags("pubsub noscript loading stale")
        .arguments(&[pattern("pattern").multiple()])
        .docs(
            "2.0.0",
            "O(N), N the number of patterns",
            "Listens to all channels whose names match.",
        ),
    Spec::new("punsubscribe", -1)
        .node(NodeCommand::Punsubscribe)
        .flags("pubsub noscript loading stale")
        .arguments(&[pattern("pattern").optional().multiple()])
        .docs("2.0.0", "O(N), N the number of patterns", "Stops listening to patterns."),
    Spec::new("ssubscribe", -2)
        .node(NodeCommand::Ssubscribe)
        .flags("pubsub noscript loading stale")
        .keys(&[KeySpec::all_from(1, "not_key")])
        .arguments(&[string("shardchannel").multiple()])
        .docs("7.0.0", "O(N), N the number of channels", "Listens to shard channels."),
    Spec::new("sunsubscribe", -1)
        .node(NodeCommand::Sunsubscribe)
        .flags("pubsub noscript loading stale")
        .keys(&[KeySpec::all_from(1, "not_key")])
        .arguments(&[string("shardchannel").optional().multiple()])
        .docs("7.0.0", "O(N), N the number of channels", "Stops listening to shard channels."),
    Spec::new("publish", 3)
        .node(NodeCommand::Publish)
        .flags("pubsub loading stale fast may_replicate")
        .arguments(&[string("channel"), string("message")])
        .docs(
            "2.0.0",
            "O(N+M), N the channel's subscribers, M all subscribed patterns",
            "Sends a message to a channel.",
        ),
    Spec::new("spublish", 3)
        .node(NodeCommand::Spublish)
        .flags("pubsub loading stale fast may_replicate")
        .keys(&[KeySpec::at(1, "not_key")])
        .arguments(&[string("shardchannel"), string("message")])
        .docs("7.0.0", "O(N), N the channel's subscribers", "Sends a message to a shard channel."),
    Spec::new("pubsub", -2)
        .docs("2.8.0", "Depends on the subcommand", "Inspects channels and their subscribers.")
        .subcommands_of(PUBSUB_SUBCOMMANDS),
];

const PUBSUB_SUBCOMMANDS: &[Spec] = &[
    Spec::new("pubsub|channels", -2)
        .node(NodeCommand::PubsubChannels)
        .flags("pubsub loading stale")
        .arguments(&[pattern("pattern").optional()])
        .docs(
            "2.8.0",
            "O(N), N the number of channels",
            "Lists the channels that have subscribers.",
        ),
    Spec::new("pubsub|help", 2).session(SessionCommand::Help).flags("loading stale").docs(
        "6.2.0",
        "O(1)",
        "Lists the subcommands.",
    ),
    Spec::new("pubsub|numpat", 2)
        .node(NodeCommand::PubsubNumpat)
        .flags("pubsub loading stale")
        .docs("2.8.0", "O(1)", "Counts the distinct patterns that are subscribed to."),
    Spec::new("pubsub|numsub", -2)
        .node(NodeCommand::PubsubNumsub)
        .flags("pubsub loading stale")
        .arguments(&[string("channel").optional().multiple()])
        .docs(
            "2.8.0",
            "O(N), N the number of channels named",
            "Counts the subscribers of channels.",
        ),
    Spec::new("pubsub|shardchannels", -2)
        .node(NodeCommand::PubsubShardchannels)
        .flags("pubsub loading stale")
        .arguments(&[pattern("pattern").optional()])
        .docs(
            "7.0.0",
            "O(N), N the number of channels",
            "Lists the shard channels that have subscribers.",
        ),
    Spec::new("pubsub|shardnumsub", -2)
        .node(NodeCommand::PubsubShardnumsub)
        .flags("pubsub loading stale")
        .arguments(&[string("shardchannel").optional().multiple()])
        .docs(
            "7.0.0",
            "O(N), N the number of channels named",
            "Counts the subscribers of shard channels.",
        ),
];
