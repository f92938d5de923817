//! Text from outside, made safe and short enough to stand in an error or in a text that is signed.

/// Longest piece of foreign text that is repeated in an error, in characters.
const QUOTED_CHARS_MAX: usize = 80;

/// `text` in double quotes, with control characters escaped, cut after 80 characters with a marker.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut shown = String::from("\"");
    for (index, letter) in text.chars().enumerate() {
        if index == QUOTED_CHARS_MAX {
            shown.push_str("…\" (cut)");
            return shown;
        }
        if is_plain(letter) && letter != '"' && letter != '\\' {
            shown.push(letter);
        } else {
            shown.extend(letter.escape_default());
        }
    }
    shown.push('"');
    shown
}

/// Whether a character shows itself: no control character, and none that is invisible or turns the writing direction
/// (Unicode's general category Cf and the line separators), since such a text would not look like what it is.
#[must_use]
pub fn is_plain(letter: char) -> bool {
    !letter.is_control()
        && !matches!(letter,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
            | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1345f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}
