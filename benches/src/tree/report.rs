//! The table of figures, each beside its ratio to ours.
#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use crate::tree::measure::Figures;
use crate::tree::ours::Ours;
use crate::tree::subject::Subject;

/// Prints the table.
pub fn print(rows: &[Figures]) {
    println!(
        "{:<24} {:>7} {:>16} {:>12} {:>14} {:>15} {:>15} {:>11} {:>10}",
        "structure",
        "threads",
        "update+root ms",
        "durable ms",
        "bytes per key",
        "prove us",
        "verify us",
        "proof B",
        "fill ms"
    );
    for row in rows {
        let ours = rows.iter().find(|ours| ours.name == Ours::NAME && ours.threads == row.threads).unwrap_or(row);
        println!(
            "{:<24} {:>7} {:>16} {:>12} {:>14} {:>15} {:>15} {:>11.0} {:>10.0}",
            row.name,
            row.threads,
            beside(row.update_ms, ours.update_ms, 2),
            row.durable_ms.map_or("-".into(), |durable| format!("{durable:.1}")),
            beside(row.resident_bytes_per_key, ours.resident_bytes_per_key, 0),
            beside(row.prove_us, ours.prove_us, 2),
            beside(row.verify_us, ours.verify_us, 2),
            row.proof_bytes,
            row.fill_ms,
        );
    }
    println!("(in brackets: times ours on as many threads)");
}

fn beside(value: f64, ours: f64, digits: usize) -> String {
    if (value - ours).abs() < f64::EPSILON || ours <= 0.0 {
        format!("{value:.digits$}")
    } else {
        format!("{value:.digits$} ({:.1}x)", value / ours)
    }
}
