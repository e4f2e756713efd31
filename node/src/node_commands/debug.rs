//! DEBUG: for tests and for looking inside.

use ringfort_core::args::{Args, OwnedArgs};
use ringfort_core::error::Error;
use ringfort_core::number;
use ringfort_core::resp::Protocol;
use ringfort_core::sequencer::ShardSet;
use ringfort_core::store::Key;
use ringfort_core::{debug, digest};

use crate::client::Client;
use crate::core::Core;
use crate::tasks::{on_all_cores, on_core};

pub async fn run(client: Client, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    let words = args.args();
    let count = words.len();
    let ok = || Ok(client.reply(|reply| reply.ok()));
    if words.is(1, "sleep") && count == 3 {
        return sleep(&client, &words).await;
    }
    if words.is(1, "digest") && count == 2 {
        return whole_digest(&client).await;
    }
    if words.is(1, "digest-value") {
        return value_digests(&client, args).await;
    }
    if words.is(1, "object") && count == 3 {
        return object(&client, args).await;
    }
    if words.is(1, "populate") && (3..=5).contains(&count) {
        return populate(&client, &words).await;
    }
    if words.is(1, "set-active-expire") && count == 3 {
        let on = &words[2] != b"0";
        on_all_cores(&client.core, move |core| core.shard.settings.active_expire = on).await;
        return ok();
    }
    if words.is(1, "log") && count == 3 {
        crate::warning!("DEBUG LOG: {}", String::from_utf8_lossy(&words[2]));
        return ok();
    }
    if words.is(1, "protocol") && count == 3 {
        return protocol(&client, &words);
    }
    if words.is(1, "error") && count == 3 {
        // A reply for a client to try itself on: no command failed, and nothing is counted.
        let error = Error::text(String::from_utf8_lossy(&words[2]).into_owned());
        return Ok(client.reply(|reply| reply.error(&error)));
    }
    if words.is(1, "stringmatch-len") && count == 4 {
        return string_match(&client, &words);
    }
    if words.is(1, "reload") {
        return reload(&client, &words).await;
    }
    if words.is(1, "help") && count == 2 {
        return Ok(help(&client));
    }
    Err(Error::text(format!(
        "ERR unknown subcommand or wrong number of arguments for '{}'. Try DEBUG HELP.",
        String::from_utf8_lossy(&words[1])
    )))
}

/// DEBUG RELOAD [NOSAVE]: saves, and loads what was saved in place of the data.
async fn reload(client: &Client, words: &Args<'_>) -> Result<Vec<u8>, Error> {
    if client.inside {
        return Err(Error::new("ERR DEBUG RELOAD inside MULTI is not supported by this node"));
    }
    let mut saves = true;
    for at in 2..words.len() {
        if words.is(at, "nosave") {
            saves = false;
        } else {
            return Err(Error::new("ERR DEBUG RELOAD only supports the NOSAVE option."));
        }
    }
    crate::replication::reload(&client.core, saves).await?;
    Ok(client.reply(|reply| reply.ok()))
}

/// Every core sleeps, so nothing at all goes on.
async fn sleep(client: &Client, words: &Args<'_>) -> Result<Vec<u8>, Error> {
    // What is no number is no time, as in Redis.
    let seconds = number::parse_double(&words[2]).unwrap_or(0.0);
    let duration =
        std::time::Duration::try_from_secs_f64(seconds.max(0.0)).map_err(|_| Error::NOT_A_FLOAT)?;
    let home = client.core.borrow().id;
    // The others first: a job for the own core runs at once.
    let cores = client.core.borrow().cores;
    let others = (0..cores).filter(|core| *core != home);
    let elsewhere = futures_util::future::join_all(others.map(|core| {
        Box::pin(on_core(&client.core, core, move |_: &mut Core| std::thread::sleep(duration)))
    }));
    let here = async {
        // Polled after the messages above were queued; they leave with it.
        client.core.borrow_mut().mailbox.flush();
        std::thread::sleep(duration);
    };
    futures_util::future::join(elsewhere, here).await;
    Ok(client.reply(|reply| reply.ok()))
}

fn all(client: &Client) -> ShardSet {
    ShardSet::all(client.core.borrow().cores)
}

async fn whole_digest(client: &Client) -> Result<Vec<u8>, Error> {
    let stopped = client.enter(all(client)).await;
    let parts = on_all_cores(&client.core, |core| digest::partial(&core.shard)).await;
    client.leave(stopped);
    let mut whole = digest::Partial::default();
    parts.iter().for_each(|part| whole.combine(part));
    Ok(client.reply(|reply| reply.simple(&digest::hex(&whole.finish()))))
}

async fn value_digests(client: &Client, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    let stopped = client.enter(all(client)).await;
    let mut digests = Vec::new();
    for key in args.args().from(2).iter() {
        let (shard, database) = (shard_of(client, key), client.database);
        let key: Box<[u8]> = key.into();
        let digest = on_core(&client.core, shard, move |core| {
            let key: Key = core.shard.hasher.key(&key);
            digest::of_value(core.shard.databases[database].get(&key))
        })
        .await;
        digests.push(digest::hex(&digest));
    }
    client.leave(stopped);
    Ok(client.reply(|reply| {
        reply.array(digests.len());
        digests.iter().for_each(|digest| reply.simple(digest));
    }))
}

fn shard_of(client: &Client, key: &[u8]) -> usize {
    client.core.borrow().shard_of(ringfort_core::slot::slot_of(key))
}

async fn object(client: &Client, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    let key: Box<[u8]> = args.args().at(2).into();
    let (shard, database, now) = (shard_of(client, &key), client.database, client.now);
    // A transaction inside may have moved the key away for the time being.
    let stopped = client.enter([shard].into_iter().collect()).await;
    let line = on_core(&client.core, shard, move |core| {
        debug::object_line(&core.shard, database, now, &key)
    })
    .await;
    client.leave(stopped);
    let line = line.ok_or(Error::NO_SUCH_KEY)?;
    Ok(client.reply(|reply| reply.simple(&line)))
}

/// DEBUG POPULATE count [prefix [size]]: each core makes the keys that belong to it.
async fn populate(client: &Client, words: &Args<'_>) -> Result<Vec<u8>, Error> {
    let positive = |word: &[u8]| {
        let number = number::parse_integer(word).and_then(|number| u64::try_from(number).ok());
        number.ok_or(Error::new("ERR value is out of range, must be positive"))
    };
    let count = positive(&words[2])?;
    let prefix: Box<[u8]> = words.get(3).unwrap_or(b"key").into();
    let size = words.get(4).map_or(Ok(0), positive)? as usize;
    let (database, now) = (client.database, client.now);
    let stopped = client.enter(all(client)).await;
    on_all_cores(&client.core, move |core| {
        let (id, cores) = (core.id, core.cores);
        let owns = |slot: ringfort_core::slot::Slot| slot.shard(cores) == id;
        debug::populate(&mut core.shard, database, now, 0..count, &prefix, size, owns);
    })
    .await;
    client.leave(stopped);
    Ok(client.reply(|reply| reply.ok()))
}

fn string_match(client: &Client, words: &Args) -> Result<Vec<u8>, Error> {
    let len = usize::try_from(number::integer(&words[2])?).map_err(|_| Error::NOT_AN_INTEGER)?;
    let text = vec![b'a'; len.min(1 << 20)];
    let matched =
        ringfort_core::glob::matches(&words[3], &text, ringfort_core::glob::Case::Sensitive);
    Ok(client.reply(|reply| reply.int(matched.into())))
}

/// One reply of each type of RESP.
fn protocol(client: &Client, words: &Args) -> Result<Vec<u8>, Error> {
    let name = String::from_utf8_lossy(&words[2]).to_lowercase();
    let known = [
        "string", "integer", "double", "bignum", "null", "array", "set", "map", "attrib", "push",
        "verbatim", "true", "false",
    ];
    if !known.contains(&name.as_str()) {
        return Err(Error::new(
            "ERR Wrong protocol type name. Please use one of the following: \
             string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
        ));
    }
    if name == "push" && client.protocol == Protocol::Resp2 {
        return Err(Error::new("ERR RESP2 is not supported by this command"));
    }
    Ok(client.reply(|reply| match name.as_str() {
        "string" => reply.text("Hello World"),
        "integer" => reply.int(12345),
        // The text is on the wire of Redis; it is not meant to be pi.
        #[expect(clippy::approx_constant)]
        "double" => reply.double(3.141),
        "null" => reply.null(),
        "bignum" => reply.big_number("1234567999999999999999999999999999999"),
        "array" => {
            reply.array(3);
            (0..3).for_each(|n| reply.int(n));
        }
        "set" => {
            reply.set(3);
            (0..3).for_each(|n| reply.int(n));
        }
        "map" => {
            reply.map(3);
            for n in 0..3 {
                reply.int(n);
                reply.boolean(n == 1);
            }
        }
        "attrib" => {
            if reply.is_resp3() {
                reply.raw(b"|1\r\n");
                reply.text("key-popularity");
                reply.array(2);
                reply.text("key:123");
                reply.int(90);
            }
            reply.text("Some real reply following the attribute");
        }
        "push" => {
            reply.push(2);
            reply.text("server-cpu-usage");
            reply.int(42);
            // A push answers nothing.
            reply.text("Some real reply following the push reply");
        }
        "verbatim" => reply.verbatim("txt", "This is a verbatim\nstring"),
        "true" => reply.boolean(true),
        _ => reply.boolean(false),
    }))
}

fn help(client: &Client) -> Vec<u8> {
    let lines = [
        "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DIGEST",
        "    A hash of the whole data set, the same on every server with the same data.",
        "DIGEST-VALUE <key> [<key> ...]",
        "    A hash of the value of each key.",
        "ERROR <string>",
        "    Answers with this error.",
        "LOG <message>",
        "    Writes a line to the log.",
        "OBJECT <key>",
        "    What is stored at a key, and how.",
        "POPULATE <count> [<prefix>] [<size>]",
        "    Makes string keys that are not there yet.",
        "PROTOCOL <type>",
        "    Answers with a value of this type.",
        "RELOAD [NOSAVE]",
        "    Saves, unless told not to, and loads what was saved in place of the data.",
        "SET-ACTIVE-EXPIRE <0|1>",
        "    Switches off or on that expired keys are removed though nobody asks for them.",
        "SLEEP <seconds>",
        "    Stops all cores.",
        "STRINGMATCH-LEN <len> <pattern>",
        "    Matches a pattern against so many letters.",
        "HELP",
        "    This list.",
    ];
    client.reply(|reply| {
        reply.array(lines.len());
        lines.iter().for_each(|line| reply.simple(line));
    })
}
