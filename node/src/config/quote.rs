//! Words, quotes and escapes of a configuration line.
//!
//! A line is words parted by white space. A word may hold `"…"` with `\n \r \t \a \b \xHH` and `\` before any
//! other character, or `'…'` where only `\'` is special; a closing quote ends its word. Pure functions.
//!
//! Source: the behaviour of Redis 7.2's configuration reader.

/// White space as C's `isspace` sees it.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// `line` without the white space that a configuration line may be wrapped in.
pub fn trim(line: &[u8]) -> &[u8] {
    let is_padding = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let start = line.iter().position(|byte| !is_padding(byte)).unwrap_or(line.len());
    let end = line.iter().rposition(|byte| !is_padding(byte)).map_or(start, |last| last + 1);
    &line[start..end]
}

/// The words of `line`; `None` when a quote is left open or is followed by something other than white space.
pub fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        match rest {
            [] => return Some(words),
            [first, tail @ ..] if is_space(*first) => rest = tail,
            _ => {
                let (word, tail) = take_word(rest)?;
                words.push(word);
                rest = tail;
            }
        }
    }
}

fn take_word(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    loop {
        match rest {
            [] | [b' ' | b'\n' | b'\r' | b'\t', ..] => return Some((word, rest)),
            [b'"', tail @ ..] => return after_quote(take_double_quoted(tail, &mut word)?, word),
            [b'\'', tail @ ..] => return after_quote(take_single_quoted(tail, &mut word)?, word),
            [byte, tail @ ..] => {
                word.push(*byte);
                rest = tail;
            }
        }
    }
}

fn after_quote(rest: &[u8], word: Vec<u8>) -> Option<(Vec<u8>, &[u8])> {
    match rest {
        [byte, ..] if !is_space(*byte) => None,
        _ => Some((word, rest)),
    }
}

fn take_double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] => return None,
            [b'"', tail @ ..] => return Some(tail),
            [b'\\', b'x', high, low, tail @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push(hex_value(*high) << 4 | hex_value(*low));
                rest = tail;
            }
            [b'\\', byte, tail @ ..] => {
                word.push(match byte {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                rest = tail;
            }
            [byte, tail @ ..] => {
                word.push(*byte);
                rest = tail;
            }
        }
    }
}

fn take_single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] => return None,
            [b'\\', b'\'', tail @ ..] => {
                word.push(b'\'');
                rest = tail;
            }
            [b'\'', tail @ ..] => return Some(tail),
            [byte, tail @ ..] => {
                word.push(*byte);
                rest = tail;
            }
        }
    }
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// Appends `word` in double quotes, so that [`split`] gives back exactly these bytes.
pub fn quote_into(line: &mut Vec<u8>, word: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    line.push(b'"');
    for &byte in word {
        match byte {
            b'\\' | b'"' => line.extend([b'\\', byte]),
            b'\n' => line.extend(b"\\n"),
            b'\r' => line.extend(b"\\r"),
            b'\t' => line.extend(b"\\t"),
            0x07 => line.extend(b"\\a"),
            0x08 => line.extend(b"\\b"),
            b' '..=b'~' => line.push(byte),
            _ => {
                line.extend([b'\\', b'x', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]])
            }
        }
    }
    line.push(b'"');
}

/// `words` as they stand in a line: quoted only where a plain word would not come back as it is.
pub fn join<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut line = Vec::new();
    for word in words {
        if !line.is_empty() {
            line.push(b' ');
        }
        let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
        if !word.is_empty() && word.iter().all(plain) {
            line.extend(word);
        } else {
            quote_into(&mut line, word);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(line: &str, expected: Option<&[&str]>) {
        let words = split(line.as_bytes());
        let expected = expected
            .map(|words| words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>());
        assert_eq!(words, expected, "words of {line:?}");
    }

    #[test]
    fn words_are_parted_by_any_white_space() {
        check("", Some(&[]));
        check("  \t ", Some(&[]));
        check("save 900\t1", Some(&["save", "900", "1"]));
    }

    #[test]
    fn quotes_keep_spaces_and_escapes() {
        check(r#"a "b c" 'd e'"#, Some(&["a", "b c", "d e"]));
        check(r#"'' """#, Some(&["", ""]));
        check(r#""\x41\n\t\q\"""#, Some(&["A\n\tq\""]));
        check(r"'it\'s' '\n'", Some(&["it's", "\\n"]));
        check(r#"pre"fix x""#, Some(&["prefix x"]));
    }

    #[test]
    fn open_or_glued_quotes_are_refused() {
        check(r#"a "b"#, None);
        check("a 'b", None);
        check(r#""a"b"#, None);
        check("'a'b", None);
        check(r#""a\"#, None);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(line: Vec<u8>) {
            let _ = split(&line);
            let _ = trim(&line);
        }

        #[test]
        fn random_words_survive_quoting(words: Vec<Vec<u8>>) {
            let mut line = Vec::new();
            for word in &words {
                quote_into(&mut line, word);
                line.push(b' ');
            }
            prop_assert!(!line.contains(&b'\n'));
            prop_assert_eq!(split(&line), Some(words.clone()));
            let line = join(words.iter().map(Vec::as_slice));
            prop_assert!(!line.contains(&b'\n'));
            prop_assert_eq!(split(&line), Some(words));
        }
    }
}
