//! Glob patterns as KEYS, SCAN, PSUBSCRIBE and CONFIG GET take them.
//!
//! `*` any bytes, `?` any byte, `[abc]`, `[a-c]`, `[^a]` one byte of (or outside) a class, `\` takes the next
//! byte as it is. The odd corners (an open class, a range backwards, an empty text) are those of a running
//! Redis 7. At most pattern length × text length steps.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    Sensitive,
    /// ASCII letters match in either case.
    Insensitive,
}

/// Whether `pattern` matches all of `text`.
pub fn matches(pattern: &[u8], text: &[u8], case: Case) -> bool {
    if text.is_empty() {
        // Not even `*` matches nothing; those who want it to ask before.
        return pattern.is_empty();
    }
    let (mut at, mut read) = (0, 0);
    // Behind the last `*`, and where in the text its rest was tried last. Every other element takes exactly
    // one byte, so when the rest fails an earlier `*` cannot help: it would only begin the rest later.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if read == text.len() {
            return pattern[at..].iter().all(|&byte| byte == b'*');
        }
        if pattern.get(at) == Some(&b'*') {
            while pattern.get(at) == Some(&b'*') {
                at += 1;
            }
            if at == pattern.len() {
                return true;
            }
            retry = Some((at, read));
        } else if let Some(next) = element(pattern, at, text[read], case) {
            at = next;
            read += 1;
        } else if let Some((rest, tried)) = retry {
            at = rest;
            read = tried + 1;
            retry = Some((rest, read));
        } else {
            return false;
        }
    }
}

/// Whether the pattern is a plain `*`, which callers take as "no pattern".
pub fn is_everything(pattern: &[u8]) -> bool {
    pattern == b"*"
}

/// Where the pattern goes on if its element at `at` matches `byte`.
fn element(pattern: &[u8], at: usize, byte: u8, case: Case) -> Option<usize> {
    match *pattern.get(at)? {
        b'?' => Some(at + 1),
        b'[' => {
            let (matched, next) = class(pattern, at + 1, byte, case);
            matched.then_some(next)
        }
        b'\\' if at + 1 < pattern.len() => equal(pattern[at + 1], byte, case).then_some(at + 2),
        literal => equal(literal, byte, case).then_some(at + 1),
    }
}

/// Whether the class whose inside begins at `at` has `byte`, and where the pattern goes on behind it.
fn class(pattern: &[u8], mut at: usize, byte: u8, case: Case) -> (bool, usize) {
    let negated = pattern.get(at) == Some(&b'^');
    at += usize::from(negated);
    let mut found = false;
    loop {
        match pattern[at.min(pattern.len())..] {
            // Never closed: it ends with the pattern.
            [] => return (found != negated, at),
            [b'\\', literal, ..] => {
                found |= literal == byte;
                at += 2;
            }
            [b']', ..] => return (found != negated, at + 1),
            [start, b'-', end, ..] => {
                found |= in_range(start, end, byte, case);
                at += 3;
            }
            [literal, ..] => {
                found |= equal(literal, byte, case);
                at += 1;
            }
        }
    }
}

/// Bytes compare as signed characters, and a range may be given backwards.
fn in_range(start: u8, end: u8, byte: u8, case: Case) -> bool {
    let (start, end) = if start as i8 > end as i8 { (end, start) } else { (start, end) };
    let fold = |byte: u8| match case {
        Case::Sensitive => byte as i8,
        Case::Insensitive => byte.to_ascii_lowercase() as i8,
    };
    (fold(start)..=fold(end)).contains(&fold(byte))
}

fn equal(a: u8, b: u8, case: Case) -> bool {
    match case {
        Case::Sensitive => a == b,
        Case::Insensitive => a.eq_ignore_ascii_case(&b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(pattern: &str, text: &str, expected: bool) {
        let found = matches(pattern.as_bytes(), text.as_bytes(), Case::Sensitive);
        assert_eq!(found, expected, "{pattern} against {text}");
    }

    #[test]
    fn each_element_matches_what_it_says() {
        check("h?llo", "hello", true);
        check("h?llo", "hllo", false);
        check("h*llo", "heeeello", true);
        check("h*llo", "hllo", true);
        check("h[ae]llo", "hallo", true);
        check("h[ae]llo", "hillo", false);
        check("h[^e]llo", "hallo", true);
        check("h[^e]llo", "hello", false);
        check("h[a-c]llo", "hbllo", true);
        check("h[c-a]llo", "hbllo", true);
        check("h[a-c]llo", "hdllo", false);
        check("a\\*b", "a*b", true);
        check("a\\*b", "axb", false);
        check("[\\]]", "]", true);
        check("*", "x", true);
        check("***", "x", true);
        check("a**", "a", true);
        check("", "", true);
        check("", "a", false);
        check("a", "", false);
    }

    #[test]
    fn odd_corners_are_those_of_redis() {
        check("*", "", false);
        check("[abc", "a", true);
        check("[", "a", false);
        check("[^", "a", true);
        check("[]a", "a", false);
        check("[a-]", "a", true);
        check("[a-]]", "b", false);
        check("\\", "\\", true);
        check("a\\", "a\\", true);
    }

    #[test]
    fn letters_match_in_either_case_when_asked() {
        let check = |pattern: &str, text: &str, expected| {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes(), Case::Insensitive), expected);
        };
        check("HeL*", "hELLO", true);
        check("[A-C]x", "bX", true);
        check("[xyZ]", "z", true);
        // An escaped byte of a class is taken as it is.
        check("[\\Z]", "z", false);
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let text = "a".repeat(20_000);
        check(&("a*".repeat(40) + "b"), &text, false);
        check(&("*a".repeat(40) + "*"), &text, true);
    }

    /// The plain model: try everything, element by element.
    fn model(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|skip| model(rest, &text[skip..])),
            (_, []) => false,
            ([b'?', rest @ ..], [_, text @ ..]) => model(rest, text),
            ([b'[', inside @ ..], [byte, text @ ..]) => {
                let (negated, mut inside) = match inside {
                    [b'^', inside @ ..] => (true, inside),
                    _ => (false, inside),
                };
                let mut members = Vec::new();
                loop {
                    match inside {
                        [] => break,
                        [b']', rest @ ..] => {
                            inside = rest;
                            break;
                        }
                        [b'\\', literal, rest @ ..] => {
                            members.push(*literal);
                            inside = rest;
                        }
                        [start, b'-', end, rest @ ..] => {
                            members.extend((*start.min(end))..=(*start.max(end)));
                            inside = rest;
                        }
                        [literal, rest @ ..] => {
                            members.push(*literal);
                            inside = rest;
                        }
                    }
                }
                members.contains(byte) != negated && model(inside, text)
            }
            ([b'\\', literal, rest @ ..], [byte, text @ ..]) => {
                literal == byte && model(rest, text)
            }
            ([literal, rest @ ..], [byte, text @ ..]) => literal == byte && model(rest, text),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn the_matcher_agrees_with_the_plain_model(
            pattern in "[abc*?\\[\\]^\\\\-]{0,9}",
            text in "[abc\\]^*-]{1,7}",
        ) {
            prop_assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes(), Case::Sensitive),
                model(pattern.as_bytes(), text.as_bytes())
            );
        }

        #[test]
        fn any_bytes_are_a_pattern(
            pattern in prop::collection::vec(any::<u8>(), 0..20),
            text in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            matches(&pattern, &text, Case::Insensitive);
        }
    }
}
