//! A systemd unit for each node. The template is `network/units/db3-node.service`.

use std::path::Path;

use crate::home::Home;

const TEMPLATE: &str = include_str!("../units/db3-node.service");

/// Name of a home's unit.
pub fn file(home: &Home) -> String {
    format!("db3-{}.service", home.chain_id)
}

/// The unit of a home whose programs are in this folder.
pub fn text(home: &Home, programs: &Path) -> String {
    TEMPLATE
        .replace("{chain}", home.chain_id.as_str())
        .replace("{program}", &quoted(&programs.join(home.program())))
        .replace("{home}", &quoted(&home.path))
}

/// A path as systemd reads it: in quotes, with `\`, `"`, `%` and `$` made plain.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    format!("\"{plain}\"")
}
