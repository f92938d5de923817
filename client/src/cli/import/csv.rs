//! Reading delimited text: RFC 4180 with any delimiter, with or without a header line. A row becomes a JSON object of
//! strings, in the order of the columns; or, for `--pairs`, the columns `key` and `value` (or `key_hex`, `value_hex`)
//! are the record itself.

use super::row::{Fault, Row};

/// How the text is laid out.
#[derive(Clone, Debug)]
pub struct Layout {
    /// What stands between fields.
    pub delimiter: char,
    /// Names of the columns where the file has no header line.
    pub columns: Option<Vec<String>>,
}

/// What a row becomes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Shape {
    /// The value is the row as JSON, the key is this field of it.
    Rows {
        /// Name of the field.
        key: String,
    },
    /// The row names key and value.
    Pairs,
}

/// One line of fields.
struct Line {
    number: usize,
    fields: Vec<Field>,
}

struct Field {
    column: usize,
    text: String,
}

/// Reads all records.
pub fn read(text: &str, layout: &Layout, shape: &Shape) -> Result<Vec<Row>, Fault> {
    let mut lines = split(text, layout.delimiter)?.into_iter();
    let (line, columns) = match &layout.columns {
        Some(columns) => (1, columns.clone()),
        None => match lines.next() {
            Some(header) => (header.number, header_of(header)?),
            None => return Ok(Vec::new()),
        },
    };
    // A wrong name is found in a file without records as well.
    if let Shape::Rows { key } = shape
        && !columns.contains(key)
    {
        return Err(no_column(line, &columns, key));
    }
    lines.map(|line| row(&line, &columns, shape)).collect()
}

fn header_of(header: Line) -> Result<Vec<String>, Fault> {
    let mut names: Vec<String> = Vec::new();
    for field in header.fields {
        let name = field.text;
        if name.is_empty() || names.contains(&name) {
            let what = if name.is_empty() {
                "a column has no name".to_owned()
            } else {
                format!("the column `{name}` stands twice")
            };
            return Err(Fault::at(
                header.number,
                field.column,
                what,
                "give every column of the header line a name of its own",
            ));
        }
        names.push(name);
    }
    Ok(names)
}

fn row(line: &Line, columns: &[String], shape: &Shape) -> Result<Row, Fault> {
    if line.fields.len() != columns.len() {
        let column = line.fields.last().map_or(1, |field| field.column);
        return Err(Fault::at(
            line.number,
            column,
            format!("the line has {} fields, but there are {} columns", line.fields.len(), columns.len()),
            "quote fields that hold the delimiter, or give another --delimiter or --columns",
        ));
    }
    match shape {
        Shape::Rows { key } => {
            let key = named(line, columns, key)?;
            Ok(Row { line: line.number, key: key.text.clone().into_bytes(), value: object(line, columns).into_bytes() })
        }
        Shape::Pairs => Ok(Row {
            line: line.number,
            key: bytes_of(line, columns, "key", "key_hex")?,
            value: bytes_of(line, columns, "value", "value_hex")?,
        }),
    }
}

fn object(line: &Line, columns: &[String]) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
    let fields = columns.iter().zip(&line.fields);
    let members: Vec<String> =
        fields.map(|(name, field)| format!("{}:{}", quoted(name), quoted(&field.text))).collect();
    format!("{{{}}}", members.join(","))
}

fn named<'a>(line: &'a Line, columns: &[String], name: &str) -> Result<&'a Field, Fault> {
    find(line, columns, name).ok_or_else(|| no_column(line.number, columns, name))
}

fn no_column(line: usize, columns: &[String], name: &str) -> Fault {
    Fault::at_line(line, format!("there is no column `{name}`"), format!("choose one of: {}", columns.join(", ")))
}

fn find<'a>(line: &'a Line, columns: &[String], name: &str) -> Option<&'a Field> {
    let position = columns.iter().position(|column| column == name)?;
    line.fields.get(position)
}

/// The bytes of the first of two columns that is there and not empty; the second is hex.
fn bytes_of(line: &Line, columns: &[String], plain: &str, hex_name: &str) -> Result<Vec<u8>, Fault> {
    let Some(field) = find(line, columns, hex_name).filter(|field| !field.text.is_empty()) else {
        return named(line, columns, plain).map(|field| field.text.clone().into_bytes());
    };
    let digits = field.text.strip_prefix("0x").unwrap_or(&field.text);
    hex::decode(digits).map_err(|error| {
        Fault::at(
            line.number,
            field.column,
            format!("`{}` is no hex: {error}", field.text),
            "write 0x and pairs of digits",
        )
    })
}

/// Splits text into lines of fields. Empty lines are passed over. A quote begins a quoted field only at its start.
fn split(text: &str, delimiter: char) -> Result<Vec<Line>, Fault> {
    let mut reader =
        Reader { rest: text.strip_prefix('\u{feff}').unwrap_or(text).chars().peekable(), line: 1, column: 1 };
    let mut lines = Vec::new();
    while reader.rest.peek().is_some() {
        let number = reader.line;
        let mut fields = Vec::new();
        loop {
            let (field, end) = reader.field(delimiter)?;
            fields.push(field);
            if end {
                break;
            }
        }
        let blank = fields.len() == 1 && fields.iter().all(|field| field.text.is_empty());
        if !blank {
            lines.push(Line { number, fields });
        }
    }
    Ok(lines)
}

struct Reader<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    line: usize,
    column: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let letter = self.rest.next()?;
        if letter == '\n' {
            self.line = self.line.saturating_add(1);
            self.column = 1;
        } else {
            self.column = self.column.saturating_add(1);
        }
        Some(letter)
    }

    /// One field, and whether the line ends after it.
    fn field(&mut self, delimiter: char) -> Result<(Field, bool), Fault> {
        let column = self.column;
        let mut text = String::new();
        if self.rest.peek() == Some(&'"') {
            self.quoted(&mut text)?;
            if self.rest.peek().is_some_and(|letter| *letter != delimiter && !matches!(letter, '\n' | '\r')) {
                return Err(Fault::at(
                    self.line,
                    self.column,
                    "something stands after the closing quote",
                    "write a quote inside a quoted field twice",
                ));
            }
        }
        loop {
            match self.next() {
                None | Some('\n') => return Ok((Field { column, text }, true)),
                Some('\r') if matches!(self.rest.peek(), None | Some('\n')) => {}
                Some(letter) if letter == delimiter => return Ok((Field { column, text }, false)),
                Some(letter) => text.push(letter),
            }
        }
    }

    fn quoted(&mut self, text: &mut String) -> Result<(), Fault> {
        let (line, column) = (self.line, self.column);
        self.next();
        loop {
            match self.next() {
                None => return Err(Fault::at(line, column, "the quoted field has no end", "close it with a quote")),
                Some('"') if self.rest.peek() == Some(&'"') => {
                    self.next();
                    text.push('"');
                }
                Some('"') => return Ok(()),
                Some(letter) => text.push(letter),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    fn rows(text: &str, key: &str) -> Result<Vec<Row>, Fault> {
        read(text, &Layout { delimiter: ',', columns: None }, &Shape::Rows { key: key.to_owned() })
    }

    fn value(row: &Row) -> &str {
        std::str::from_utf8(&row.value).unwrap()
    }

    #[test]
    fn a_row_becomes_a_json_object_in_the_order_of_the_columns() {
        let rows = rows("name,code\r\n\"Aru\"\"ba, W\nest\",AW\r\n\nÅland,AX\n", "code").unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(
            (rows[0].key.as_slice(), value(&rows[0])),
            (b"AW".as_slice(), "{\"name\":\"Aru\\\"ba, W\\nest\",\"code\":\"AW\"}")
        );
        assert_eq!((rows[1].line, value(&rows[1])), (5, r#"{"name":"Åland","code":"AX"}"#));
    }

    #[test]
    fn files_without_a_header_take_their_columns_from_the_option() {
        let layout = Layout { delimiter: ';', columns: Some(vec!["code".into(), "name".into(), "old".into()]) };
        let rows = read("0000;<control>;NULL\n0022;QUOTATION \"MARK\";", &layout, &Shape::Rows { key: "code".into() })
            .unwrap();
        assert_eq!(value(&rows[1]), r#"{"code":"0022","name":"QUOTATION \"MARK\"","old":""}"#);
    }

    #[test]
    fn faults_name_line_and_column() {
        let missing = rows("a,b\n1,2\n3\n", "a").unwrap_err();
        assert_eq!((missing.line, missing.column), (3, Some(1)));
        let unclosed = rows("a,b\n1,\"2\n", "a").unwrap_err();
        assert_eq!((unclosed.line, unclosed.column), (2, Some(3)));
        let after = rows("a,b\n\"1\"x,2\n", "a").unwrap_err();
        assert_eq!((after.line, after.column), (2, Some(4)));
        assert!(rows("a,b\n1,2\n", "c").unwrap_err().to_string().contains("a, b"));
        assert!(rows("a,a\n1,2\n", "a").unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn pairs_take_bytes_from_hex_columns() {
        let text = "key,key_hex,value\n,0x00ff,v\nk,,w\n";
        let rows = read(text, &Layout { delimiter: ',', columns: None }, &Shape::Pairs).unwrap();
        assert_eq!((rows[0].key.as_slice(), rows[0].value.as_slice()), (&[0u8, 255][..], b"v".as_slice()));
        assert_eq!(rows[1].key, b"k");
    }
}
