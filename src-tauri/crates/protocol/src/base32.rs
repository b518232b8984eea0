//! The letters of IDs and links: Crockford's base 32, first bit first, without padding characters.

/// Digits in order of value: no `i`, `l`, `o` (they look like `1` and `0`) and no `u`.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Writes bytes as letters; the bits missing in the last letter are zeros.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            text.push(digit(bits >> count));
        }
    }
    if count > 0 {
        text.push(digit(bits << (5 - count)));
    }
    text
}

/// Reads letter values (see [`value_of`]) back. `None` when bits are left over that `encode` would not have left.
pub(crate) fn decode(values: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(values.len() * 5 / 8);
    let (mut bits, mut count) = (0_u32, 0);
    for value in values {
        bits = bits << 5 | u32::from(*value);
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    let rest = bits & ((1 << count) - 1);
    (count < 5 && rest == 0).then_some(bytes)
}

/// The value of a letter, 0 to 31. Takes either case, `o` for `0`, and `i` and `l` for `1`.
pub(crate) fn value_of(letter: char) -> Option<u8> {
    let plain = match letter.to_ascii_lowercase() {
        'o' => '0',
        'i' | 'l' => '1',
        other => other,
    };
    ALPHABET.iter().position(|&digit| char::from(digit) == plain).map(|position| position as u8)
}

fn digit(value: u32) -> char {
    char::from(ALPHABET[(value & 31) as usize])
}

/// Word processors and chat programs turn `-` into longer ones.
pub(crate) fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// White space and the characters without width that copying out of a web page leaves behind.
pub(crate) fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}
