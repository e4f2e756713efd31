//! LOLWUT.

use ringfort_core::args::Args;
use ringfort_core::error::CommandResult;
use ringfort_core::number;
use ringfort_core::resp::Reply;

const FORT: [&str; 5] = [
    "      _   _   _     ",
    "     |_|_|_|_|_|    ",
    "   __|         |__  ",
    "  (  |   (O)   |  ) ",
    "   \\_|_________|_/  ",
];

/// LOLWUT [VERSION version [columns [forts a row [rows]]]]: ring forts, and the version. Every version draws the
/// same.
pub fn lolwut(reply: &mut Reply, args: &Args) -> CommandResult {
    let mut numbers = [0, 80, 1, 1];
    if args.is(1, "version") {
        for (number, word) in numbers.iter_mut().zip(args.from(2).iter()) {
            *number = number::integer(word)?;
        }
    }
    let [_, columns, forts, rows] = numbers;
    let width = FORT[0].len() as i64;
    let forts = forts.clamp(1, 200).min((columns.clamp(1, 1000) / width).max(1)) as usize;
    let mut text = String::new();
    for _ in 0..rows.clamp(1, 200) {
        for line in FORT {
            text.push_str(line.repeat(forts).trim_end());
            text.push('\n');
        }
    }
    text.push_str(&format!(
        "\nRedis ver. {} (Ringfort {})\n",
        crate::config::REDIS_VERSION,
        crate::config::RINGFORT_VERSION
    ));
    reply.verbatim("txt", &text);
    Ok(())
}
