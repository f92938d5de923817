//! docs/codes.md, made from the table of rejections.

use std::fmt::Write;

use super::class::Class;
use super::list::Rejection;

/// The text of docs/codes.md.
#[must_use]
pub fn codes_markdown() -> String {
    let mut page = String::from(
        "# Codes\n\n\
         Everything that can be wrong with what comes from outside has a number, the same in the command, the client \
         library, gRPC, receipts and bills. A number is never reused. This page is generated from the table in \
         `primitives` (`DB3_UPDATE_DOCS=1 cargo test -p db3-primitives codes`).\n\n\
         gRPC errors carry `google.rpc.ErrorInfo` (reason: the name; domain `db3`; metadata `code`) and \
         `db3.v1.Rejection`. A bill's outcome code is 0 when the mutation was applied.\n",
    );
    for class in [Class::Malformed, Class::Refused, Class::Failed, Class::Request, Class::Unavailable] {
        section(&mut page, class);
    }
    page
}

fn section(page: &mut String, class: Class) {
    page.push_str("\n## ");
    page.push_str(class.title());
    page.push_str("\n\n");
    page.push_str(class.meaning());
    page.push_str("\n\n| code | name | gRPC | charged | field | meaning | remedy |\n|---|---|---|---|---|---|---|\n");
    for row in Rejection::TABLE.iter().filter(|row| row.class() == class) {
        let charged = if row.charged() { "yes" } else { "no" };
        let field = row.field.map_or(String::new(), |field| format!("`{field}`"));
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| {} | `{}` | `{}` | {charged} | {field} | {} | {} |",
            row.code,
            row.name,
            row.grpc.name(),
            row.meaning,
            row.remedy
        );
    }
}
